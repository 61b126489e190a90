"""Checks that an app can use a `.tflite` file, describes it, and compares it with a runtime's version."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfcompress.android.recipe_steps import Step, steps_of
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.kernels.widths import check_widths, version_numbers
from tfcompress.tflite.tensor_spec import TensorSpec

_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")
_DTYPES = ("int8", "float32")
_SCORES = ("SOFTMAX", "LOGISTIC")
_PASSING = ("DEQUANTIZE", "QUANTIZE", "RESHAPE")


@dataclass(frozen=True)
class PhoneVariant:
    """A file that passed the checks for an app.

    Attributes:
        name: Its identifier in the app, such as "int8_ptq".
        artifact: The file.
        steps: Techniques and conversion that made it, see `steps_of`.
        metrics: Measured figures, as in the manifest.
        reference_histogram: Classes and confidences of its predictions on training data, as in the manifest.
    """

    name: str
    artifact: Artifact
    steps: tuple[Step, ...]
    metrics: dict[str, Any]
    reference_histogram: dict[str, Any] | None = None

    @property
    def input(self) -> TensorSpec:
        """Its only input."""
        return self.artifact.inputs[0]

    @property
    def output(self) -> TensorSpec:
        """Its only output."""
        return self.artifact.outputs[0]

    @property
    def semantic(self) -> str:
        """Whether its outputs are logits or probabilities, see `semantic_of`."""
        return semantic_of(self.artifact)


def semantic_of(artifact: Artifact) -> str:
    """Returns whether the outputs of a classifier are logits or probabilities.

    Args:
        artifact: A file with one output.

    Returns:
        `"probabilities"` if the file ends in a softmax or a sigmoid, else `"logits"`.
    """
    made_by = {index: op for op in artifact.model.graphs[0].ops for index in op.outputs}
    op = made_by.get(artifact.outputs[0].index)
    while op is not None and op.name in _PASSING:
        op = made_by.get(op.inputs[0])
    return "probabilities" if op is not None and op.name in _SCORES else "logits"


def phone_variant(
    name: str,
    artifact: Artifact,
    side: int,
    classes: int,
    metrics: dict[str, Any],
    stored_recipe: Sequence[dict[str, Any]] | None = None,
    reference_histogram: dict[str, Any] | None = None,
) -> PhoneVariant:
    """Checks that an app for square grey images can run a file.

    Args:
        name: Identifier: lower-case letters, digits and `_`.
        artifact: The file.
        side: Height and width of the images, in pixels.
        classes: Number of classes.
        metrics: Measured figures for the manifest.
        stored_recipe: See `steps_of`.
        reference_histogram: Histograms of its predictions on training data, for the manifest.

    Returns:
        The variant.

    Raises:
        ValueError: If the name is no identifier, the file has several inputs or outputs, another batch than 1
            or a dynamic one, inputs or outputs that are neither int8 with a scale nor float32, or other shapes.
            The message names the variant.
        UnsupportedWidth: If the runtime would compute wrong numbers from its weights.
    """
    check_name(name)
    check_widths(artifact.model)
    for kind, specs, shape in (
        ("input", artifact.inputs, (1, side, side, 1)),
        ("output", artifact.outputs, (1, classes)),
    ):
        if len(specs) != 1:
            raise ValueError(f"{name}: the app runs files with one {kind}. Received: {[s.name for s in specs]}.")
        _check_spec(name, kind, specs[0], shape)
    steps = tuple(steps_of(artifact, stored_recipe))
    return PhoneVariant(name, artifact, steps, metrics, reference_histogram)


def check_name(name: str) -> None:
    """Raises if a name can't be an identifier in the app.

    Args:
        name: The name.

    Raises:
        ValueError: If it has other letters than a to z, 0 to 9 and `_`, or more than 64.
    """
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(
            f"{name!r}: a variant is named by lower-case letters, digits and _, at most 64. "
            f"Rename its file, for instance to {re.sub('[^a-z0-9_]', '_', name.lower()).lstrip('_')!r}.tflite."
        )


def runs_in(needs: str, has: str) -> bool:
    """Returns whether a runtime is new enough for a file; a file that names no version is taken to run.

    Args:
        needs: `min_runtime` of the file, such as "2.17.0"; may be empty.
        has: Version of the runtime, such as "2.16.1"; the part after a `-` or `+` does not count.

    Returns:
        Whether it is; versions are compared number by number, missing ones as 0.

    Raises:
        ValueError: If one of them is no version.

    Example:
        >>> runs_in("2.17.0", "2.16.1"), runs_in("1.14", "1.14.0"), runs_in("2.9.0", "2.16.1")
        (False, True, True)
    """
    return not needs or _numbers(needs) <= _numbers(has)


def _numbers(version: str) -> tuple[int, ...]:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9}){0,3})(?:[-+].*)?", version)
    if match is None:
        raise ValueError(f"runtime: a version looks like 2.16.1. Received: {version!r}.")
    return version_numbers(match[1])


def _check_spec(name: str, kind: str, spec: TensorSpec, shape: tuple[int, ...]) -> None:
    if spec.shape[:1] != (1,):
        batch = "dynamic" if spec.shape[:1] == (-1,) else spec.shape[:1]
        raise ValueError(
            f"{name}: the {kind} {spec.name!r} must have the static batch 1. Received: a {batch} batch, shape "
            f"{spec.shape}. Convert the model with tfcompress.convert, which fixes it."
        )
    if spec.dtype not in _DTYPES or (spec.dtype == "int8") != spec.is_quantized:
        raise ValueError(
            f"{name}: the {kind} {spec.name!r} must be int8 with a scale, or float32. Received: {spec.dtype}. "
            "Convert the model with io='int8' or io='float32'."
        )
    if spec.shape != shape:
        raise ValueError(f"{name}: the {kind} {spec.name!r} must have shape {shape}. Received: {spec.shape}.")
