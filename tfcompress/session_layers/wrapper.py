"""Compressed: a layer with its treatment around it, as a layer that saves, loads and clones like any other.

The wrapper calls `chain.run`, as the hook on a live layer does; its weights are those of the layer inside and the
state of the transforms. `Ranged` is the same for what has no weights: an operation of the graph, or an input.
"""

import keras

from tfcompress.fake_quant.op_plan import Chain, Mode, Treatment
from tfcompress.fake_quant.treated_call import run
from tfcompress.graph.keras_private import takes_training
from tfcompress.layer_table.lookup import describe


@keras.saving.register_keras_serializable("tfcompress")
class Compressed(keras.layers.Wrapper):
    """A layer whose weights are read through transforms and whose output goes through ranges.

    Args:
        layer: The layer inside.
        chains: Weight path to its transforms.
        outputs: Output number (as text, for JSON) to its range.
        before: Range between the layer's kernel and its activation function.
        inside: Ranges of the values inside the layer's integer form by name; None where its own call is used.
        fixed: LiteRT's fixed output range, or None.
        is_last: Whether the output is one of the model's.
        captures: Name under which the output is kept for a feature loss, or None.
        place: What else the file needs to know of the layer's place in the graph, as `wrapping.wrapped` notes it.
        clock: How far the training is: a dict, or a function that returns it.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        layer,
        chains=None,
        outputs=None,
        before=None,
        inside=None,
        fixed=None,
        is_last=False,
        captures=None,
        place=None,
        clock=None,
        **kwargs,
    ):
        kwargs.setdefault("name", layer.name)
        kwargs.setdefault("dtype", layer.dtype_policy)
        # or `trainable = True` on a wrapper around a frozen layer would change nothing and pass unnoticed
        kwargs.setdefault("trainable", layer.trainable)
        # the layer inside casts its inputs by itself
        super().__init__(layer, autocast=False, **kwargs)
        self.supports_masking = layer.supports_masking
        self.__dict__["by_path"] = {p: list(ts) for p, ts in (chains or {}).items()}
        self.transforms = [t for ts in self.by_path.values() for t in ts]
        self.ranges = dict(outputs or {})
        self.inside = None if inside is None else dict(inside)
        self.before, self.fixed, self.is_last, self.captures = before, fixed, is_last, captures
        self.__dict__["place"], self.__dict__["clock"] = dict(place or {}), clock
        self._treatment = None

    @property
    def treatment(self) -> Treatment:
        """What is done to the layer inside; made when first asked for, once the layer is built."""
        if self._treatment is None:
            chains = {}
            for path, transforms in self.by_path.items():
                chains[path] = Chain.of(self.layer, path)
                for transform in transforms:
                    chains[path].add(transform)
            self.__dict__["_treatment"] = Treatment(
                self.captures or self.name,
                self.layer,
                0,
                chains,
                outputs={int(k): r for k, r in self.ranges.items()},
                before=self.before,
                fixed=self.fixed,
                is_last=self.is_last,
                written=self.inside is not None,
                inside=dict(self.inside or {}),
                captures=self.captures is not None,
            )
        return self._treatment

    def counted(self) -> dict | None:
        """Returns how far the training is, None where nobody counted."""
        return self.clock() if callable(self.clock) else self.clock

    def build(self, *args, **kwargs):
        """Builds the layer inside, then the state of its transforms."""
        if not self.layer.built:
            self.layer.build(*args, **kwargs)
        self.layer.built = True
        _ = self.treatment
        self.built = True

    def get_build_config(self):
        """That of the layer inside."""
        return self.layer.get_build_config()

    def build_from_config(self, config):
        """Builds the layer inside as it was built, then the state of its transforms."""
        if not self.layer.built:
            self.layer.build_from_config(config)
        self.build()

    def call(self, *args, training=None, **kwargs):
        """The layer's output under its treatment."""
        if takes_training(self.layer):
            kwargs["training"] = training
        mode = Mode.TRAIN if training else Mode.TEST
        return run(self.treatment, self.layer, args, kwargs, mode)

    def compute_output_shape(self, *args, **kwargs):
        """That of the layer inside."""
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_output_spec(self, *args, training=None, **kwargs):
        """That of the layer inside."""
        return self.layer.compute_output_spec(*args, **kwargs)

    def compute_mask(self, inputs, previous_mask):
        """That of the layer inside."""
        # for Keras the tuple of positional arguments is the first argument
        if not isinstance(inputs, tuple) or not inputs:
            return None
        return self.layer.compute_mask(inputs[0], previous_mask[0])

    def get_config(self):
        """Constructor arguments; transforms and ranges as their own configurations."""
        save = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "chains": {p: [save(t) for t in ts] for p, ts in self.by_path.items()},
            "outputs": {str(k): save(r) for k, r in self.ranges.items()},
            "before": save(self.before) if self.before is not None else None,
            "inside": None if self.inside is None else {n: save(r) for n, r in self.inside.items()},
            "fixed": self.fixed,
            "is_last": self.is_last,
            "captures": self.captures,
            "place": self.place,
            "clock": self.counted(),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Inverse of `get_config`."""
        load = keras.saving.deserialize_keras_object
        config = dict(config)
        config["layer"] = load(config["layer"], custom_objects=custom_objects)
        config["chains"] = {p: [load(t) for t in ts] for p, ts in config["chains"].items()}
        config["outputs"] = {k: load(r) for k, r in config["outputs"].items()}
        config["before"] = load(config["before"]) if config["before"] else None
        if (inside := config.get("inside")) is not None:
            config["inside"] = {n: load(r) for n, r in inside.items()}
        config["fixed"] = tuple(config["fixed"]) if config["fixed"] else None
        return cls(**config)


@keras.saving.register_keras_serializable("tfcompress")
class Ranged(keras.layers.Layer):
    """The range of an input, or of an operation that is no layer.

    Args:
        span: The activation range.
        number: Number of the range in the state; places that share a range have the same.
        entrance: Number of the input it lies on, None behind an operation.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, span, number=0, entrance=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.span, self.number, self.entrance = span, number, entrance
        self.supports_masking = True
        self.built = True

    def call(self, x, training=None):
        """Returns `x` on the grid."""
        x = keras.ops.cast(x, _float(x.dtype))
        return keras.ops.cast(self.span(x, how="train" if training else "apply"), x.dtype)

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
describe(Ranged)  # known, so that nobody looks for layers in it
