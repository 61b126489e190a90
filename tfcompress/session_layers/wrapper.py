"""Wrapper layers that apply an operation plan to the layer inside, and that Keras saves, loads and clones.

`Compressed` calls `treated_call.run`, as the patch on a live layer does; its weights are those of the layer inside and
the state of the transforms. `Ranged` is an activation range behind an input or an operation that is no layer.
"""

from typing import Any

import keras
import numpy as np

from tfcompress.fake_quant.forward_pass import TESTING, TRAINING
from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.treated_call import run
from tfcompress.graph.keras_private import takes_training
from tfcompress.layer_table.lookup import describe
from tfcompress.session_layers.plan_config import from_config, to_config, upgrade_config


class SharedRanges(keras.layers.Layer):
    """Saves the state of ranges at each place where they lie; Keras writes a shared one at the first place only."""

    def lying_ranges(self) -> dict[str, Any]:
        """Returns the ranges of the layer by where they lie."""
        raise NotImplementedError

    def save_own_variables(self, store):
        """Writes the layer's own variables, then the state of its ranges."""
        super().save_own_variables(store)
        for name, variable in self._range_state().items():
            store[name] = np.asarray(variable)

    def load_own_variables(self, store):
        """Loads the same; a file of release 0.1 holds the state of a shared range once."""
        held = self._range_state()
        super().load_own_variables({key: store[key] for key in store.keys() if key not in held})
        for name in held.keys() & set(store.keys()):
            held[name].assign(store[name])

    def _range_state(self) -> dict[str, keras.Variable]:
        spans = self.lying_ranges().items()
        return {f"range_{place}_{k}": v for place, span in spans for k, v in enumerate(span.variables)}


@keras.saving.register_keras_serializable("tfcompress")
class Compressed(SharedRanges, keras.layers.Wrapper):
    """A layer whose weights are read through transforms and whose output goes through ranges.

    Args:
        layer: The layer inside.
        plan: The plan of the layer; None for none.
        numbers: By `id(range)` its number in the state; places that share a range have the same.
        clock: The step counters of the training: a dict, or a function that returns it.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, layer, plan: OpPlan | None = None, numbers=None, clock=None, **kwargs):
        kwargs.setdefault("name", layer.name)
        kwargs.setdefault("dtype", layer.dtype_policy)
        # otherwise `trainable = True` on the wrapper of a frozen layer would silently do nothing
        kwargs.setdefault("trainable", layer.trainable)
        # the layer inside casts its inputs by itself
        super().__init__(layer, autocast=False, **kwargs)
        self.supports_masking = layer.supports_masking
        plan = OpPlan(layer.name, layer) if plan is None else plan
        self.__dict__.update(_plan=plan, numbers=dict(numbers or {}), clock=clock)
        # Keras saves the state of the layers in these attributes, under the names of the attributes
        self.__dict__["by_path"] = {path: list(chain.transforms) for path, chain in plan.chains.items()}
        self.transforms = [t for transforms in self.by_path.values() for t in transforms]
        self.ranges = {str(k): span for k, span in plan.outputs.items()}
        self.inside, self.before = dict(plan.inside), plan.before

    @property
    def plan(self) -> OpPlan:
        """The plan of the layer inside; its chains are bound to the weights at the first read after building."""
        for chain in self._plan.chains.values():
            if chain.variable is None:
                chain.bind(self.layer)
        return self._plan

    def counted(self) -> dict | None:
        """Returns the step counters of the training, None where there are none."""
        return self.clock() if callable(self.clock) else self.clock

    def build(self, *args, **kwargs):
        """Builds the layer inside, then the state of its transforms."""
        if not self.layer.built:
            self.layer.build(*args, **kwargs)
        self.layer.built = True
        _ = self.plan  # with the state of its transforms
        self.built = True

    def get_build_config(self):
        """Returns the build configuration of the layer inside."""
        return self.layer.get_build_config()

    def build_from_config(self, config):
        """Builds the layer inside as it was built, then the state of its transforms."""
        if not self.layer.built:
            self.layer.build_from_config(config)
        self.build()

    def call(self, *args, training=None, **kwargs):
        """Returns the output of the layer inside under its plan."""
        if takes_training(self.layer):
            kwargs["training"] = training
        return run(self.plan, self.layer, args, kwargs, TRAINING if training else TESTING)

    def compute_output_shape(self, *args, **kwargs):
        """Returns the output shape of the layer inside."""
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_output_spec(self, *args, training=None, **kwargs):
        """Returns the output spec of the layer inside."""
        return self.layer.compute_output_spec(*args, **kwargs)

    def compute_mask(self, inputs, previous_mask):
        """Returns the output mask of the layer inside."""
        # Keras passes the tuple of positional arguments as the first argument
        if not isinstance(inputs, tuple) or not inputs:
            return None
        return self.layer.compute_mask(inputs[0], previous_mask[0])

    def lying_ranges(self):
        """Returns the ranges of the plan by where they lie."""
        return {"_".join(str(part) for part in place): span for place, span in self._plan.ranges().items()}

    def get_config(self):
        """Returns the constructor arguments, with the plan field by field."""
        return {**super().get_config(), "plan": to_config(self._plan, self.numbers), "clock": self.counted()}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Inverse of `get_config`; reads what release 0.1 wrote as well."""
        config = dict(config) if "plan" in config else upgrade_config(config)
        layer = keras.saving.deserialize_keras_object(config.pop("layer"), custom_objects=custom_objects)
        plan, numbers = from_config(config.pop("plan"), layer)
        return cls(layer, plan, numbers, **config)


@keras.saving.register_keras_serializable("tfcompress")
class Ranged(SharedRanges, keras.layers.Layer):
    """An activation range as a layer: behind an input of the model, or behind an operation that is no layer.

    Args:
        span: The activation range.
        number: Number of the range in the state; places that share a range have the same.
        entrance: Number of the input, None behind an operation.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, span, number=0, entrance=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.span, self.number, self.entrance = span, number, entrance
        self.supports_masking = True
        self.built = True

    def call(self, x, training=None):
        """Returns `x` on the grid of the range."""
        x = keras.ops.cast(x, _float(x.dtype))
        return keras.ops.cast(self.span(x, how="train" if training else "apply"), x.dtype)

    def lying_ranges(self):
        """Returns its range."""
        return {"span": self.span}

    def compute_output_spec(self, x, training=None):
        """The shape of the input; integers become floats."""
        return keras.KerasTensor(x.shape, _float(x.dtype))

    def compute_output_shape(self, input_shape):
        """The shape of the input."""
        return input_shape

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "span": keras.saving.serialize_keras_object(self.span),
            "number": self.number,
            "entrance": self.entrance,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Inverse of `get_config`."""
        config = dict(config)
        return cls(span=keras.saving.deserialize_keras_object(config.pop("span")), **config)


def _float(dtype) -> str:
    name = keras.backend.standardize_dtype(dtype)
    return name if "float" in name else "float32"


describe(Compressed, flow="mix", inner=("layer",))
describe(Ranged)  # a known type is not searched for layers inside
