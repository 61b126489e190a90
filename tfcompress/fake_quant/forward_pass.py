"""Modes of the forward pass (training, calibration, simulation, export) and the values a pass carries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import keras

from tfcompress.fake_quant.transforms.ranges import APPLY, OBSERVE, TRAIN


@dataclass(frozen=True)
class Mode:
    """The mode of a forward pass: what it does with ranges, rounding and folded layers.

    Args:
        ranges: What activation ranges do with the values they see: "train" (follow the batches and round), "observe"
            (record the values, which stay float) or "apply" (round to the range as it is).
        rounds_fixed: Whether outputs are rounded to the ranges that LiteRT fixes (Softmax).
        folds: Whether BatchNormalization and input scaling are folded into the kernels, as in the file.
        simulates: Whether biases, sums and averages are rounded as LiteRT does.
        exports: Whether the pass is traced for the converter: constants and FakeQuant nodes replace the arithmetic.
    """

    ranges: str = APPLY
    rounds_fixed: bool = True
    folds: bool = False
    simulates: bool = False
    exports: bool = False

    TRAIN: ClassVar["Mode"]
    TEST: ClassVar["Mode"]
    OBSERVE: ClassVar["Mode"]
    FOLDED: ClassVar["Mode"]
    EXPORT: ClassVar["Mode"]

    @property
    def trains(self) -> bool:
        """Whether ranges follow the batches."""
        return self.ranges == TRAIN


Mode.TRAIN = Mode(ranges=TRAIN)
Mode.TEST = Mode()  # validation during fit
Mode.OBSERVE = Mode(ranges=OBSERVE, rounds_fixed=False)  # calibration
Mode.FOLDED = Mode(folds=True, simulates=True)  # the simulation of the file
Mode.EXPORT = Mode(folds=True, exports=True, rounds_fixed=False)  # the converter knows fixed ranges by itself


@dataclass(frozen=True)
class PreparedWeights:
    """The weight values of one operation, computed before the graph of a pass without training is traced.

    Args:
        values: `(variable, value, holder)`; the holder is a variable that the converter freezes, or the value itself.
        bias: Folded shift of an operation without a bias of its own, or None.
        step: Scale of the kernel in the file, where it is known.
    """

    values: list[tuple[keras.Variable, object, object]]
    bias: object = None
    step: object = None


@dataclass(frozen=True)
class ForwardPass:
    """One forward pass, or several with the same mode.

    Args:
        mode: The mode.
        prepared: By `id(operation plan)` the values computed for the operation in advance.
    """

    mode: Mode
    prepared: Mapping[int, PreparedWeights] = field(default_factory=dict)

    def prepared_for(self, plan: object) -> PreparedWeights | None:
        """Returns the values computed in advance for an operation, or None."""
        return self.prepared.get(id(plan))


TRAINING, TESTING = ForwardPass(Mode.TRAIN), ForwardPass(Mode.TEST)
