"""Technique: the base class that declares what the user asks for, and the hooks that training calls."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from typing_extensions import Self

from tfcompress.calibration.evidence import Evidence
from tfcompress.fake_quant.transforms.ranges import ActivationRange, range_for
from tfcompress.quant_spec import QuantSpec
from tfcompress.selection import Where, resolve, where
from tfcompress.techniques.protocol.hook_values import Cut, Kernel, Memory, Moment, Operated, Skip, Target
from tfcompress.techniques.protocol.shown_names import TechniqueType
from tfcompress.text.printable import shown
from tfcompress.validation import checks
from tfcompress.validation.restoring import restored


def percent(value: Any) -> str:
    """Returns a hint for an error message if a fraction seems to be given in per cent, else an empty string."""
    return f"Did you mean {value / 100:g}?" if checks.is_number(value) and 1 < value <= 100 else ""


@dataclass(frozen=True)
class Technique(metaclass=TechniqueType):
    """Base class of techniques: fields that the user sets, and hooks that training calls.

    A technique of your own is a frozen dataclass that overrides the hooks it needs; none is required. Register it with
    Keras, so that it can be written to JSON and loaded from files. `tfc.testing.check_technique` checks on it what
    holds for all techniques. A dataclass with a `__post_init__` calls `super().__post_init__()` in it.

    Args:
        where: Which weights: None for all, or what `tfc.Where` accepts.
        overrides: `{key: value}` by layer name pattern or layer type; None leaves a layer alone.

    Attributes:
        order: Order among the techniques. Transforms of lower order are put on a weight first, and later techniques see
            them; `advance` of higher order is called first (masks are chosen before the weights that remain share
            values).
        shape_changing: Whether the technique changes the graph or shapes of weights, and so needs `tfc.compress`.
        is_gradual: Whether the technique works during training; a recipe holds at most one of each such class.
        treats_frozen: Whether it treats layers with `trainable=False` too; for techniques that don't change weights
            themselves.
        is_saved: Whether `Compression.save` writes it; False for what only training needs.

    Example:
        >>> import keras, tensorflow as tf, tfcompress as tfc
        >>> from dataclasses import dataclass
        >>> @keras.saving.register_keras_serializable("mine")
        ... class Halves(tfc.Transform):
        ...     def call(self, w):
        ...         return self.straight_through(lambda x: tf.round(2 * x) / 2, w)
        >>> @keras.saving.register_keras_serializable("mine")
        ... @dataclass(frozen=True)
        ... class Halve(tfc.Technique):
        ...     def transforms(self, target, setting, seed):
        ...         return [Halves(target.axes)]
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> compression = tfc.Compression(Halve(), verbose=0)
        >>> compression.set_model(model)
        >>> kernel = compression.finish().layers[0].kernel.numpy()
        >>> bool((2 * kernel == (2 * kernel).round()).all())
        True
    """

    where: Any = field(default=None, kw_only=True)
    overrides: dict | None = field(default=None, kw_only=True)

    hooks_are_shown = True  # `help` of this class is for authors
    for_users = ("name",)

    order = 0
    shape_changing = False
    is_gradual = True
    treats_frozen = False
    is_saved = True

    @property
    def name(self) -> str:
        """The name in plans and reports."""
        return type(self).__name__

    @property
    def spec(self) -> QuantSpec | None:
        """The number formats of the file that the technique trains for; None if it does not quantize."""
        return None

    @property
    def treats_weights(self) -> bool:
        """Whether `transforms` returns anything: by default, whether the class overrides it."""
        return type(self).transforms is not Technique.transforms

    @property
    def adds_loss(self) -> bool:
        """Whether `loss` and `mix` change the loss: by default, whether the class overrides `loss`."""
        return type(self).loss is not Technique.loss

    @property
    def adds_penalty(self) -> bool:
        """Whether `penalty` is added to the loss: by default, whether the class overrides it."""
        return type(self).penalty is not Technique.penalty

    # the declaration

    def __post_init__(self) -> None:
        """Stores `where` and the keys of `overrides` in a form that can be written to JSON."""
        chosen = checks.within(self.name, "where", lambda: None if self.where is None else where(self.where))
        object.__setattr__(self, "where", chosen)
        if self.overrides is None:
            return
        if not isinstance(self.overrides, Mapping):
            raise TypeError(
                f"{self.name}: overrides must map a layer name pattern or layer type to a value. "
                f"Received: overrides={shown(self.overrides)}."
            )
        object.__setattr__(self, "overrides", checks.within(self.name, "overrides", self._stored_overrides))

    def _stored_overrides(self) -> dict:
        found = {}
        for key, value in self.overrides.items():
            if not isinstance(key, str | type):
                raise TypeError(f"a key must be a layer name pattern or a layer type. Received: {shown(key)}.")
            (name,) = Where(layers=key).layers
            if name in found:
                raise ValueError(f"each layer name or type may come once. Received twice: {shown(name)}.")
            found[name] = None if value is None else self.stored(value)
        return found

    def set(self, **fields: Any) -> None:
        """Stores validated fields; call it in `__post_init__` only, afterwards a technique never changes."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def get_config(self) -> dict:
        """Returns the fields as Keras serializes them, for JSON."""
        return {f.name: keras.saving.serialize_keras_object(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_config(cls, config: dict) -> Self:
        """Makes a technique of what `get_config` returned."""
        return cls(**restored(config))

    # hooks: settings, called when a technique is made and when a plan is

    def default(self) -> object:
        """Returns the value for layers without an override."""
        return True

    def accept(self, value: object) -> object:
        """Converts a default or an override to a setting; raises an error for a value that is not accepted."""
        return value

    def stored(self, value: object) -> object:
        """Validates an override and returns the form to store, which can be written to JSON."""
        self.accept(value)
        return value

    def setting(self, target: Target) -> Any:
        """Returns the setting for a weight, or a `tfc.Skip` with the reason why the weight is left out."""
        if not where(self.where)(target.layer, target.weight, int(np.prod(target.chain.variable.shape))):
            return Skip(f"{self.name}: left out by `where`")
        value = resolve(target.layer, self.default(), self.overrides)
        return Skip(f"{self.name}: override None") if value is None else self.accept(value)

    def layer_spec(self, layer: object) -> QuantSpec | None:
        """Returns the number formats of one layer, None if it stays float; called if there is a `spec`."""
        return self.spec

    # hooks: the plan, called once per model before training, and again when what trains has changed

    def transforms(self, target: Target, setting: Any, seed: int) -> list:
        """Returns new transforms for a weight; they are added to its chain in the order of their rank.

        Called for every weight whose `setting` is no `Skip`. It may read the target but must not change it.
        """
        return []

    def action(self, target: Target, setting: Any) -> str:
        """Describes in a few words what is done to a weight, for the plan; called after `transforms`."""
        return self.name

    def activation_range(self, spec: QuantSpec, name: str, positive: bool) -> ActivationRange:
        """Returns a new range for an operation's output; called for techniques whose `spec` quantizes activations.

        Args:
            spec: Number formats of the layer.
            name: Name of the range in reports.
            positive: Whether the values are known to be >= 0.
        """
        return range_for(spec, name, positive)

    def remarks(self, model: keras.Model) -> list[str]:
        """Returns sentences for the end of the plan: which part of the technique has no effect, and a way out."""
        return []

    def extras(self, model: keras.Model) -> list[keras.layers.Layer]:
        """Returns layers that hold further state of the technique; they are saved with the model."""
        return []

    def renewed(self, extra: keras.layers.Layer, model: keras.Model) -> keras.layers.Layer:
        """Returns the layer that replaces an extra when the plan is made anew: by default the extra itself."""
        return extra

    def own_weights(self, extras: list[keras.layers.Layer]) -> list[tuple]:
        """Returns pairs (variable, recorded gradient) of the extras that the compression's own optimizer trains."""
        return []

    def captured(self, model: keras.Model) -> tuple[str, ...]:
        """Returns paths of operations whose outputs `loss` gets as features."""
        return ()

    # hooks: training

    def advance(self, moment: Moment, kernels: list[Kernel], memory: Memory) -> None:
        """Updates the state of transforms; may assign their variables and store things in `memory`.

        Called eagerly before a step, every few steps, with the technique's own weights; and once at the end, with
        `moment.last`, when everything must take its final value.
        """

    def loss(self, memory: Memory, x: Any, y_pred: Any, features: dict, sample_weight: Any) -> Any:
        """Returns a scalar that `mix` adds to the loss; called while a train step is traced.

        Args:
            memory: What the technique remembers of the model, `extras` among it.
            x: The batch.
            y_pred: The model's outputs.
            features: Outputs of the operations that `captured` named, by path.
            sample_weight: Weights of the samples, or None.
        """
        return 0.0

    def mix(self, total: Any, regularization: Any, extra: Any) -> Any:
        """Returns the loss of a step, from the model's loss `total` and the `extra` that `loss` returned.

        `regularization` is the part of `total` that comes from the model's regularizers.
        """
        return total + extra

    def penalty(self, kernels: list[Kernel]) -> Any:
        """Returns a scalar that is added to the loss, or None; called while a train step is traced."""
        return None

    # hooks: the network's shape, called for techniques that are `shape_changing`

    def operate(self, model: keras.Model, evidence: Evidence) -> Operated:
        """Returns a changed copy of a flat model and leaves the model itself as it is; called before training.

        Not called for gradual techniques. `evidence` holds samples, labels and the loss, as far as they were given.
        """
        return Operated(model)

    def close(self, model: keras.Model, memory: Memory, kernels: list[Kernel]) -> Cut | None:
        """Returns the channels to remove when training has ended, None for none; called for gradual techniques."""
        return None
