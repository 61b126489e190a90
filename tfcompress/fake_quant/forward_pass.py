"""What a forward pass is for, and what it carries: small values that the forward reads instead of asking for names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import keras

from tfcompress.fake_quant.transforms.ranges import APPLY, OBSERVE, TRAIN


@dataclass(frozen=True)
class Mode:
    """What a forward pass is for.

    Args:
        ranges: What ranges do with the values they see: "train" (follow the batches), "observe" (look on, values stay
            float) or "apply".
        rounds_fixed: Whether outputs are rounded to the ranges that LiteRT fixes (Softmax).
        folds: Whether BatchNormalization and factors in front lie in the kernels, as in the file.
        simulates: Whether biases, sums and averages are rounded as LiteRT does.
        exports: Whether the converter reads the pass: constants and FakeQuant nodes in the place of arithmetic.
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
class Prepared:
    """What an operation reads in passes in which nothing trains, computed before its graph is traced.

    Args:
        values: `(variable, value, what holds it)`; the last is a variable that the converter freezes, or the value.
        bias: Folded shift of an operation without a bias of its own, or None.
        step: Scale of the kernel in the file, where it is known.
    """

    values: list[tuple[keras.Variable, object, object]]
    bias: object = None
    step: object = None


@dataclass(frozen=True)
class ForwardPass:
    """A forward pass under way, or several of the same kind.

    Args:
        mode: What they are for.
        prepared: By `id(operation plan)` what was prepared for it.
    """

    mode: Mode
    prepared: Mapping[int, Prepared] = field(default_factory=dict)

    def prepared_for(self, plan: object) -> Prepared | None:
        """Returns what an operation reads, if it was prepared."""
        return self.prepared.get(id(plan))


TRAINING, TESTING = ForwardPass(Mode.TRAIN), ForwardPass(Mode.TEST)
