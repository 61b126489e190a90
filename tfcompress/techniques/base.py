"""What a technique is: a frozen declaration of what the user asks for, and hooks that the training calls."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import keras
import numpy as np

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
    """What a fraction that is given in per cent may have been meant to be, for an error message."""
    return f"Did you mean {value / 100:g}?" if checks.is_number(value) and 1 < value <= 100 else ""


@dataclass(frozen=True)
class Technique(metaclass=TechniqueType):
    """Base class of techniques. To use one takes its arguments; the other methods are hooks that training calls.

    A technique of your own is a frozen dataclass that overrides the hooks it needs; none is required. Registered with
    Keras, it goes to JSON and is found in files. `tfc.testing.check_technique` runs what all techniques promise on it.
    A dataclass with a `__post_init__` calls `super().__post_init__()` in it.

    Args:
        where: Which weights: None for all, or what `tfc.Where` accepts.
        overrides: `{key: value}` by layer name pattern or layer type; None leaves a layer alone.

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
    """Place among the techniques: a technique sees what those of lower order put on a weight, and `advance` of
    higher order goes first (masks are chosen before the weights that are left share values)."""

    shape_changing = False
    """Whether the technique changes the graph or shapes of weights, which takes `tfc.compress`."""

    is_gradual = True
    """Whether the technique is at work while training goes on; a recipe holds one of each kind that is."""

    treats_frozen = False
    """Whether it treats layers with `trainable=False` too, because it leaves their weights as they are."""

    is_saved = True
    """Whether `Compression.save` writes it and tells recipes apart by it; False for what only training needs."""

    @property
    def name(self) -> str:
        """The name in plans and reports."""
        return type(self).__name__

    @property
    def spec(self) -> QuantSpec | None:
        """Number formats of the file that the technique trains for; None if it says nothing of them."""
        return None

    @property
    def treats_weights(self) -> bool:
        """Whether `transforms` puts anything on weights: by default, whether a class overrides it."""
        return type(self).transforms is not Technique.transforms

    @property
    def adds_loss(self) -> bool:
        """Whether `loss` and `mix` take part in the loss: by default, whether a class overrides `loss`."""
        return type(self).loss is not Technique.loss

    @property
    def adds_penalty(self) -> bool:
        """Whether `penalty` is added to the loss: by default, whether a class overrides it."""
        return type(self).penalty is not Technique.penalty

    # the declaration

    def __post_init__(self) -> None:
        """Stores `where` and the keys of `overrides` in the one form that goes to JSON and back."""
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
        """Stores checked fields; to be called in `__post_init__` only, afterwards a technique never changes."""
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
        """Returns the value that holds where no override does."""
        return True

    def accept(self, value: object) -> object:
        """Returns the setting that a default or an override stands for; raises if it stands for none."""
        return value

    def stored(self, value: object) -> object:
        """Returns the form in which an override is kept, which must go to JSON; validates it on the way."""
        self.accept(value)
        return value

    def setting(self, target: Target) -> Any:
        """Returns the setting that holds for a weight, or a `Skip` with the reason why it is left alone."""
        if not where(self.where)(target.layer, target.weight, int(np.prod(target.chain.variable.shape))):
            return Skip(f"{self.name}: left out by `where`")
        value = resolve(target.layer, self.default(), self.overrides)
        return Skip(f"{self.name}: override None") if value is None else self.accept(value)

    def layer_spec(self, layer: object) -> QuantSpec | None:
        """Returns the number formats of one layer, None where it stays float; called if there is a `spec`."""
        return self.spec

    # hooks: the plan, called once per model before training, and again when what trains has changed

    def transforms(self, target: Target, setting: Any, seed: int) -> list:
        """Returns fresh transforms for a weight; they are added to its chain by their rank.

        Called for every weight whose `setting` is no `Skip`. It may look at the target, and changes nothing.
        """
        return []

    def action(self, target: Target, setting: Any) -> str:
        """Returns in a few words what is done to a weight, for the plan; called behind `transforms`."""
        return self.name

    def activation_range(self, spec: QuantSpec, name: str, positive: bool) -> ActivationRange:
        """Returns a fresh range for an operation's output; called for techniques with a `spec` of activations.

        Args:
            spec: Number formats of the layer.
            name: Name of the range in reports.
            positive: Whether the values are known to be >= 0.
        """
        return range_for(spec, name, positive)

    def remarks(self, model: keras.Model) -> list[str]:
        """Returns sentences for the end of the plan: what of this technique can't take effect, and a way out."""
        return []

    def extras(self, model: keras.Model) -> list[keras.layers.Layer]:
        """Returns layers with further state that the technique keeps with a model; they are saved with it."""
        return []

    def renewed(self, extra: keras.layers.Layer, model: keras.Model) -> keras.layers.Layer:
        """Returns what goes on in place of an extra when the plan is made anew: by default the extra itself."""
        return extra

    def own_weights(self, extras: list[keras.layers.Layer]) -> list[tuple]:
        """Returns pairs (variable, noted gradient) of the extras that train by the compression's own optimizer."""
        return []

    def captured(self, model: keras.Model) -> tuple[str, ...]:
        """Returns paths of operations of a model whose outputs `loss` gets as features."""
        return ()

    # hooks: training

    def advance(self, moment: Moment, kernels: list[Kernel], memory: Memory) -> None:
        """Moves the state of transforms on; may assign their variables, and remember things in `memory`.

        Called eagerly before a step, every few steps, with the technique's own weights; and once at the end, with
        `moment.last`, when everything must take its final value.
        """

    def loss(self, memory: Memory, x: Any, y_pred: Any, features: dict, sample_weight: Any) -> Any:
        """Returns a scalar that `mix` brings into the loss; called while a train step is traced.

        Args:
            memory: What the technique remembers of the model, `extras` among it.
            x: The batch.
            y_pred: The model's outputs.
            features: Outputs of the operations that `captured` named, by path.
            sample_weight: Weights of the samples, or None.
        """
        return 0.0

    def mix(self, total: Any, regularization: Any, extra: Any) -> Any:
        """Returns the loss of a step: of the model's (`regularization` is the part of its regularizers) and `extra`."""
        return total + extra

    def penalty(self, kernels: list[Kernel]) -> Any:
        """Returns a scalar that is added to the loss, or None; called while a train step is traced."""
        return None

    # hooks: the network's shape, called for techniques that are `shape_changing`

    def operate(self, model: keras.Model, evidence: Evidence) -> Operated:
        """Returns a changed copy of a flat model, which itself is not changed; called before training.

        Not called for gradual techniques. `evidence` holds samples, labels and the loss, as far as they were given.
        """
        return Operated(model)

    def close(self, model: keras.Model, memory: Memory, kernels: list[Kernel]) -> Cut | None:
        """Returns what is to be cut when training has ended, None for nothing; called for gradual techniques."""
        return None
