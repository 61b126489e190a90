"""Creates the activation ranges that quantizer placement requests; training and conversion both start here."""

import functools
from collections.abc import Callable
from typing import Any

import keras

from tfcompress.fake_quant.quantizer_placement import OpPlacement, RangeRequest, place
from tfcompress.fake_quant.transforms.fixed_range import FixedRange
from tfcompress.fake_quant.transforms.ranges import ActivationRange
from tfcompress.graph.inside.opened import operations
from tfcompress.graph.trace import Trace, trace

MakeRange = Callable[[RangeRequest, object], ActivationRange]


def make_ranges(
    model: keras.Model, make: MakeRange, left_out: Callable[[Any], bool], who: str
) -> tuple[dict[int, OpPlacement], list]:
    """Creates the activation ranges of a model.

    Args:
        model: A built model.
        make: Function `(request, operation or None for an input) -> range`; called once for a request that serves
            several places.
        left_out: Function that says whether an operation stays float.
        who: Name of the caller, for the error.

    Returns:
        Placements by `id(operation)` with real ranges, and the ranges of the inputs (None for integers).

    Raises:
        ValueError: If the graph can't be followed; the message names the layers.
    """
    graph = trace(model, opens=True)
    paths = {id(op): path for path, op in operations(model)}
    ops = {id(op): op for _, op in operations(model)}
    check_followed(model, graph, paths, who)
    found = place(graph, lambda op: paths[id(op)], left_out)
    made: dict[int, ActivationRange] = {}

    def real(span, op):
        if span is not None and id(span) not in made:
            plain = make(span, op)
            plain.softmax = span.softmax
            made[id(span)] = _fixed(span, plain) if span.fixed else plain
        return None if span is None else made[id(span)]

    placed = {}
    for key, placement in found.placements.items():
        placed[key] = placement.mapped(ranges=functools.partial(real, op=ops[key]))
        if isinstance(placement.source, RangeRequest):  # of an input of the model, which no operation makes
            real(placement.source, ops[key])
    inputs = [real(span, None) for span in found.inputs]

    def known(scale):  # all ranges exist by now
        return made.get(id(scale)) if isinstance(scale, RangeRequest) else scale

    return {key: placement.mapped(scales=known) for key, placement in placed.items()}, inputs


def _fixed(span: RangeRequest, plain: ActivationRange) -> ActivationRange:
    made = FixedRange(*span.fixed, bits=plain.bits, symmetric=plain.symmetric)
    made.title = span.name
    return made


def check_followed(model: keras.Model, graph: Trace, paths: dict[int, str], who: str) -> None:
    """Checks that every tensor of the model comes from an operation behind which a range can be placed.

    Raises:
        ValueError: If one does not; the message names the layers that read it.
    """
    lost = graph.unknown()
    if lost or None in graph.outputs or not graph.calls:
        names = sorted({paths[id(op)] for op in lost}) or ["the model's output"]
        raise ValueError(
            f"{who}: the graph of model {model.name!r} can't be followed to {names}: tensors come from raw "
            "TensorFlow or keras.ops calls inside a subclassed call(), where no activation range can be placed. "
            "Make them layers (keras.layers.Add instead of `+`) or use the Functional API; "
            "or quantize weights only with tfc.Quantize('weights')."
        )
