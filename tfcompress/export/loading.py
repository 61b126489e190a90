"""Loads Keras models from `.keras` files, `.h5` files, SavedModel folders or memory.

Models of Keras 2 are ported. A SavedModel becomes a Functional model around its signature, with the same input names.
The error for what cannot be loaded names the reason and the way out.
"""

import os
import warnings
import zipfile
from typing import Any

import h5py
import keras

from tfcompress.legacy import port
from tfcompress.legacy.guard import DAMAGE, check_file
from tfcompress.validation import checks
from tfcompress.validation.registration import register_classes

_HDF5_SUFFIXES = (".h5", ".hdf5")
_ELSEWHERE = {
    ".tflite": "A .tflite file is a finished artifact: read it with Artifact.load(path).",
    ".weights.h5": "The file holds weights only: build the model, then call load_weights(path).",
    ".pb": "Give the SavedModel folder that holds the .pb file.",
    ".onnx": "ONNX files are not read here; convert the model to Keras first.",
    ".pt": "PyTorch files are not read here; convert the model to Keras first.",
    ".pth": "PyTorch files are not read here; convert the model to Keras first.",
}


@keras.saving.register_keras_serializable("tfcompress")
class SavedModelSignature(keras.layers.TFSMLayer):
    """A signature of a SavedModel as a layer that takes its inputs as a dict by name.

    `keras.layers.TFSMLayer` calls its function with one positional argument, which signatures,
    whose arguments are named, refuse.
    """

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Runs the signature; `training` changes nothing, a signature is an inference graph."""
        return self.signature(**inputs)

    @property
    def signature(self) -> Any:
        """The function of the signature, with `structured_input_signature`."""
        return self._reloaded_obj.signatures[self.call_endpoint]


def load_model(
    path_or_model: str | os.PathLike | keras.Model,
    custom_objects: dict[str, Any] | None = None,
    safe_mode: bool = True,
    signature: str = "serving_default",
) -> keras.Model:
    """Loads a Keras model.

    Args:
        path_or_model: a `.keras` file (or the unzipped folder) of a plain model or of a session's,
            a `.h5` file of a whole model, a SavedModel folder, or a model, which is returned as it
            is. (`keras.models.load_model` by itself does not know a session's layers: `import
            tfcompress` alone registers nothing.) What Keras 2.0 to 2.15 or tf_keras wrote, and a live
            model of tf_keras, is ported: see `tfcompress.legacy.port.port`.
        custom_objects: classes and functions of your own in the model, by name.
        safe_mode: False lets Keras load Lambda layers, that is, run code from the file.
        signature: the signature of a SavedModel to load.

    Returns:
        The model, compiled if it was stored compiled. If its training configuration does not
        load, a warning says so and the model is not compiled. A SavedModel gives a Functional
        model that takes a tensor, or a dict by the signature's names if it has several inputs;
        likewise for outputs.

    Raises:
        FileNotFoundError: if there is nothing at the path.
        NotPorted: a ValueError, if a model of Keras 2 has no equal in Keras 3; the layer is named.
        TypeError: if `path_or_model` is neither a path nor a Keras model.
        ValueError: if the form is unknown or Keras cannot load it; the reason is named.

    Example:
    ```python
    import keras
    from tfcompress.export.loading import load_model

    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save("model.keras")
    load_model("model.keras").summary()
    ```
    """
    checks.flag("load_model", "safe_mode", safe_mode)
    checks.text("load_model", "signature", signature)
    if custom_objects is not None and not isinstance(custom_objects, dict):
        checks.refuse(
            TypeError, "load_model", "custom_objects", "a dict of classes and functions by name", custom_objects
        )
    if isinstance(path_or_model, keras.Model):
        return path_or_model
    if isinstance(path_or_model, str | os.PathLike):
        check_file(path_or_model)
        register_classes()
    if port.is_old(path_or_model):
        return port.port(path_or_model, custom_objects, safe_mode)
    if not isinstance(path_or_model, str | os.PathLike):
        raise TypeError(
            "load_model: path_or_model: a model of Keras 3 or tf_keras or the path of one is accepted. Received: "
            f"{type(path_or_model).__module__}.{type(path_or_model).__name__}."
        )
    path = checks.path("load_model", "path_or_model", path_or_model)
    if not os.path.exists(path):
        raise FileNotFoundError(f"load_model: there is no file or folder {path!r}.")
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        return _from_saved_model(path, signature)
    _check_form(path)
    return _from_keras_file(path, custom_objects, safe_mode)


def _check_form(path: str) -> None:
    name = os.path.basename(os.path.normpath(path)).lower()
    for suffix, remedy in _ELSEWHERE.items():
        if name.endswith(suffix):
            raise ValueError(f"load_model: {path!r} is no Keras model. {remedy}")
    if os.path.isfile(os.path.join(path, "config.json")):
        return  # the folder that model.save(path, zipped=False) writes
    if name.endswith(".keras"):
        if not zipfile.is_zipfile(path):
            raise ValueError(f"load_model: {path!r} is no .keras file or is cut off.")
    elif name.endswith(_HDF5_SUFFIXES):
        if not h5py.is_hdf5(path):
            raise ValueError(f"load_model: {path!r} is no HDF5 file or is cut off.")
        try:
            with h5py.File(path, "r") as file:
                whole = "model_config" in file.attrs
        except DAMAGE as error:
            raise ValueError(f"load_model: {path!r} is no HDF5 file or is cut off.") from error
        if not whole:
            raise ValueError(f"load_model: {path!r}: {_ELSEWHERE['.weights.h5']}")
    else:
        what = "folder without saved_model.pb" if os.path.isdir(path) else "file"
        raise ValueError(
            f"load_model: {path!r} is a {what}. Accepted: a .keras file, an .h5 file, a "
            "SavedModel folder, a keras.Model."
        )


def _from_keras_file(path: str, custom_objects: dict[str, Any] | None, safe_mode: bool) -> keras.Model:
    def load(compile: bool) -> keras.Model:
        return keras.saving.load_model(path, custom_objects, compile=compile, safe_mode=safe_mode)

    # Keras raises errors of many types here, so all are caught; none is dropped.
    try:
        return load(compile=True)
    except Exception as error:
        compile_error = error
    try:
        model = load(compile=False)
    except Exception as error:
        raise ValueError(_reason(path, error)) from error
    warnings.warn(
        f"load_model: the training configuration in {path!r} does not load "
        f"({_last_line(compile_error)}); the model is not compiled. Call model.compile(...) "
        "before training it.",
        stacklevel=3,
    )
    return model


def _from_saved_model(path: str, signature: str) -> keras.Model:
    try:
        layer = SavedModelSignature(path, call_endpoint=signature)
        function = layer.signature
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(
            f"load_model: the signature {signature!r} of the SavedModel {path!r} does not load: "
            f"{_last_line(error)} Name another one with signature=."
        ) from error
    # The signature keeps its arguments in a dict without order.
    specs = sorted(function.structured_input_signature[1].items())
    inputs = {}
    for name, spec in specs:
        if spec.shape.rank is None:
            raise ValueError(f"load_model: {path!r}: input {name!r} has no shape.")
        inputs[name] = keras.Input(batch_shape=tuple(spec.shape), dtype=spec.dtype.name, name=name)
    outputs = layer(inputs)
    return keras.Model(
        inputs if len(inputs) > 1 else next(iter(inputs.values())),
        outputs if len(outputs) > 1 else next(iter(outputs.values())),
        name="saved_model",
    )


def _reason(path: str, error: Exception) -> str:
    text = str(error)
    message = f"load_model: Keras {keras.__version__} cannot load {path!r}: {_last_line(error)}"
    if "safe_mode" in text or "unsafe_deserialization" in text:
        message += " If you trust the file, call load_model(path, safe_mode=False)."
    elif "custom_objects" in text or "register_keras_serializable" in text:
        message += " Give your own classes: load_model(path, custom_objects={'Name': Name})."
    return message


def _last_line(error: BaseException) -> str:
    # Keras puts the cause behind a dump of the layer's config.
    text = str(error).rpartition("Exception encountered:")[2].strip()
    first = text.splitlines()[0] if text else type(error).__name__
    return first if len(first) <= 400 else first[:397] + "..."
