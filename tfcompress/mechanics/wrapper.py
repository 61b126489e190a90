"""Compressed: a layer with its treatment around it, as a layer that saves, loads and clones like any other.

The wrapper calls `chain.run`, as the hook on a live layer does; its weights are those of the layer inside and the state of
the transforms. `Ranged` is the same for what has no weights: an operation of the graph, or an input.
"""

import keras

from tfcompress.facts.spec import describe, weight
from tfcompress.mechanics.chain import Chain, Mode, Treatment, run
from tfcompress.mechanics.graph import leaves, rebuild, takes_training, trace
from tfcompress.mechanics.placement import place
from tfcompress.mechanics.state import CompressionState


@keras.saving.register_keras_serializable("tfcompress")
class Compressed(keras.layers.Wrapper):
    """A layer whose weights are read through transforms and whose output goes through ranges.

    Args:
        layer: The layer inside.
        chains: Weight path to its transforms.
        outputs: Output number (as text, for JSON) to its range.
        before: Range between the layer's kernel and its activation function.
        fixed: LiteRT's fixed output range, or None.
        is_last: Whether the output is one of the model's.
        captures: Name under which the output is kept for a feature loss, or None.
    """

    def __init__(
        self, layer, chains=None, outputs=None, before=None, fixed=None, is_last=False, captures=None, **kwargs
    ):
        kwargs.setdefault("name", layer.name)
        super().__init__(layer, **kwargs)
        self.supports_masking = layer.supports_masking
        self.__dict__["by_path"] = {p: list(ts) for p, ts in (chains or {}).items()}
        self.transforms = [t for ts in self.by_path.values() for t in ts]
        self.ranges = dict(outputs or {})
        self.before, self.fixed, self.is_last, self.captures = before, fixed, is_last, captures
        self._treatment = None

    @property
    def treatment(self) -> Treatment:
        """What is done to the layer inside; made when first asked for, once the layer is built."""
        if self._treatment is None:
            chains = {}
            for path, transforms in self.by_path.items():
                chains[path] = Chain(path, weight(self.layer, path))
                for transform in transforms:
                    chains[path].add(transform)
            made = Treatment(
                self.captures or self.name, self.layer, 0, chains, {int(k): r for k, r in self.ranges.items()},
                self.before, self.fixed, self.is_last, captures=self.captures is not None,
            )
            self.__dict__["_treatment"] = made
        return self._treatment

    def build(self, *args, **kwargs):
        """Builds the layer inside, then the state of its transforms."""
        if not self.layer.built:
            self.layer.build(*args, **kwargs)
        self.layer.built = True
        _ = self.treatment
        self.built = True

    def call(self, *args, training=None, **kwargs):
        """The layer's output under its treatment."""
        if takes_training(self.layer):
            kwargs["training"] = training
        return run(self.treatment, self.layer, args, kwargs, Mode.TRAIN if training else Mode.TEST)

    def compute_output_shape(self, *args, **kwargs):
        """That of the layer inside."""
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_output_spec(self, *args, training=None, **kwargs):
        """That of the layer inside."""
        return self.layer.compute_output_spec(*args, **kwargs)

    def compute_mask(self, inputs, previous_mask):
        """That of the layer inside."""
        return self.layer.compute_mask(inputs, previous_mask)

    def get_config(self):
        """Constructor arguments; transforms and ranges as their own configurations."""
        save = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "chains": {p: [save(t) for t in ts] for p, ts in self.by_path.items()},
            "outputs": {str(k): save(r) for k, r in self.ranges.items()},
            "before": save(self.before) if self.before is not None else None,
            "fixed": self.fixed, "is_last": self.is_last, "captures": self.captures,
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
        config["fixed"] = tuple(config["fixed"]) if config["fixed"] else None
        return cls(**config)


@keras.saving.register_keras_serializable("tfcompress")
class Ranged(keras.layers.Layer):
    """The range of an input, or of an operation that is no layer.

    Args:
        span: The activation range.
    """

    def __init__(self, span, **kwargs):
        super().__init__(**kwargs)
        self.span = span
        self.supports_masking = True
        self.built = True

    def call(self, x, training=None):
        """Returns `x` on the grid."""
        return keras.ops.cast(self.span(x, how="train" if training else "apply"), x.dtype)

    def compute_output_shape(self, input_shape):
        """The shape of the input."""
        return input_shape

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "span": keras.saving.serialize_keras_object(self.span)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Inverse of `get_config`."""
        return cls(span=keras.saving.deserialize_keras_object(config.pop("span")), **config)


describe(Compressed, flow="mix", inner=("layer",))


def wrapped(model: keras.Model, state: CompressionState) -> keras.Model:
    """Returns a flat model of the same layer objects, with the treatments of a state as wrapper layers.

    Args:
        model: A flat Functional model.
        state: Its treatments.

    Returns:
        The model; training it trains the layers of `model`.
    """
    treatments = {id(t.op): t for t in state.treatments}

    def replace(path, op):
        t = treatments.get(id(op))
        if t is None or not (t.chains or t.outputs or t.before or t.fixed or t.captures):
            return op
        if not isinstance(op, keras.layers.Layer):
            return lambda *args, **kwargs: _ranged(op(*args, **kwargs), t)
        return Compressed(
            op, {p: c.transforms for p, c in t.chains.items()}, {str(k): r for k, r in t.outputs.items()},
            t.before, t.fixed, t.is_last, path if t.captures else None,
        )

    def entrance(k, x):
        span = state.inputs[k] if state.inputs else None
        return x if span is None else Ranged(span, name=f"range_of_input_{k}")(x)

    return rebuild(model, replace, entrance)


def _ranged(outputs, t: Treatment):
    flat = keras.tree.flatten(outputs)
    for k, span in t.outputs.items():
        flat[k] = Ranged(span)(flat[k])
    return keras.tree.pack_sequence_as(outputs, flat)


def is_wrapped(model: keras.Model) -> bool:
    """Whether the model is a session's, with wrapper layers in it."""
    return any(isinstance(op, (Compressed, Ranged)) for _, op in leaves(model))


def unwrapped(model: keras.Model) -> tuple[keras.Model, CompressionState]:
    """Takes the wrappers off a session's model, also one that was saved and loaded.

    Returns:
        The plain model of the layers inside, with their weights as they train (bake the state to make them final), and the
        state that the wrappers held, not attached.
    """
    spans: list[Ranged] = []

    def replace(path, op):
        if isinstance(op, Compressed):
            return op.layer
        if isinstance(op, Ranged):
            spans.append(op)
            return lambda x, **_: x
        return op

    plain = rebuild(model, replace)
    return plain, _gathered(model, plain)


def _gathered(model: keras.Model, plain: keras.Model) -> CompressionState:
    """The wrappers' state, with what can be read off the plain graph (folding, last outputs) found again."""
    wrappers = {id(op.layer): op for _, op in leaves(model) if isinstance(op, Compressed)}
    graph = trace(model)
    makers = {t: c for c in graph.calls for t in c.outputs}
    inputs: list = [None] * len(graph.inputs)
    behind: dict[int, dict] = {}
    for call in graph.calls:
        if not isinstance(call.op, Ranged):
            continue
        source = call.inputs[0]
        if source in graph.inputs:
            inputs[graph.inputs.index(source)] = call.op.span
        else:
            maker = makers[source]
            behind.setdefault(id(maker.op), {})[maker.outputs.index(source)] = call.op.span
    spots = place(trace(plain), lambda op: op.name).spots if any(inputs) else {}
    treatments = []
    for index, (path, op) in enumerate(leaves(plain)):
        wrapper, spot = wrappers.get(id(op)), spots.get(id(op))
        t = wrapper.treatment if wrapper is not None else Treatment(path, op, index, outputs=behind.get(id(op), {}))
        t.index, t.path = index, path
        if spot is not None:
            t.norm, t.folds = spot.norm, spot.folds
        treatments.append(t)
    return CompressionState(treatments, inputs if any(inputs) else [])
