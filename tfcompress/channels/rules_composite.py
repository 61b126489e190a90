"""Propagates channel labels through composite layers: Bidirectional, TimeDistributed, attention."""

import numpy as np

from tfcompress.channels.labels import Signal, signal
from tfcompress.channels.rules import (
    ACROSS,
    STATES,
    STILL,
    LabelCall,
    attention_inputs,
    flow,
    last_labels,
    note_weight,
    note_weights,
)
from tfcompress.layer_table.lookup import activation, is_elementwise, spec_of


@flow("both")
def both(call: LabelCall) -> list[Signal]:
    """Labels a bidirectional layer, whose two recurrent layers keep the same number of units."""
    layer, shape = call.op, call.shapes[0]
    if layer.merge_mode is None or len(call.shapes) > 1 or len(call.inputs) > 1:
        return call.kept(STATES)
    old = last_labels(call, call.inputs[0])
    use = call.use()
    if use.inner is None:
        use.inner = call.labels.fresh(layer.forward_layer.units)
    for name in call.spec.inner:
        note_weights(call, spec_of(getattr(layer, name)), f"{name}/", old, use.inner, use.inner)
    made = np.tile(use.inner, 2) if layer.merge_mode == "concat" else use.inner
    use.output = use.output or signal(made, shape)
    return [signal(made, shape)]


@flow("each step")
def each_step(call: LabelCall) -> list[Signal]:
    """Labels a layer that applies the layer inside it at every step."""
    inner, (shape,) = call.op.layer, call.shapes
    spec = spec_of(inner)
    old = last_labels(call, call.inputs[0])
    if spec.flow not in ("mix", "pass") or spec.step or old is None:
        return call.kept(STILL)
    function = activation(inner)
    if function is not None and not is_elementwise(function):
        return call.kept(ACROSS)
    use = call.use()
    if spec.flow == "pass":
        new = np.repeat(old, shape[-1] // len(old))
    else:
        new = use.output.vector() if use.output else call.labels.fresh(shape[-1])
    note_weights(call, spec, "layer/", old, new, None)
    use.output = use.output or signal(new, shape)
    return [signal(new, shape)]


@flow("attention")
def attention(call: LabelCall) -> list[Signal]:
    """Labels attention: its heads are removed as a whole, and its output has new channels."""
    layer, shape = call.op, call.shapes[0]
    query, value, key = attention_inputs(call.args, call.kwargs)
    if len(call.shapes) != 1 or len(layer.get_config().get("attention_axes") or [1]) != 1:
        return call.kept(STILL)
    use = call.use()
    if use.inner is None:
        use.inner = call.labels.fresh(layer.num_heads)
    new = use.output.vector() if use.output else call.labels.fresh(shape[-1])
    sources = {"query_dense": query, "key_dense": key, "value_dense": value, "output_dense": None}
    for path, axes in call.spec.axes.items():
        source = sources[path.split("/")[0]]
        note_weight(call, path, axes, None if source is None else last_labels(call, source), new, use.inner)
    for other in call.inputs:
        if not any(other is known for known in (query, key, value)):
            call.keep(other.labels, STILL)
    use.output = use.output or signal(new, shape)
    return [signal(new, shape)]
