"""split: cuts one network into several models that together give the same outputs.

`modular` cuts at named layers, `recursive` cuts into halves of about equal cost where few bytes cross, `hierarchical`
adds an early exit to a small first part and runs the rest only for samples that the exit is not sure of, `numeric` cuts
what no file can hold off the front.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfcompress.evaluate.macs_model import model_macs
from tfcompress.export.loading import load_model
from tfcompress.fake_quant.state import CompressionState
from tfcompress.graph.clone import flat_name
from tfcompress.graph.keras_private import input_specs
from tfcompress.layer_table.lookup import spec_of
from tfcompress.partition.graph_cut import Line, cut_places, first_part
from tfcompress.partition.subgraph import Piece, StepGraph
from tfcompress.pipeline.chain_conversion import PartToConvert
from tfcompress.pipeline.early_exits import HEADS, answer_of, apply, head_input, make_head
from tfcompress.pipeline.parts import Parts
from tfcompress.session_layers.wrapping import finish_model, is_wrapped
from tfcompress.text.printable import shown
from tfcompress.validation import checks

MOST_PARTS = 10_000
LARGEST_BUDGET = 2**62
_OPTIONS: dict[str, dict[str, Any]] = {
    "modular": {"at": None},
    "numeric": {},
    "recursive": {"parts": None, "budget": None, "by": "macs"},
    "hierarchical": {
        "at": None,
        "levels": 1,
        "first": 0.25,
        "head": "auto",
        "trainable_trunk": False,
        "threshold": 0.9,
        "seed": 0,
    },
}


def split(
    model: Any,
    how: str = "recursive",
    *,
    at: Sequence[str] | None = None,
    parts: int | None = None,
    budget: int | None = None,
    by: str | None = None,
    levels: int | None = None,
    first: float | None = None,
    head: str | None = None,
    trainable_trunk: bool | None = None,
    threshold: float | Sequence[float] | None = None,
    seed: int | None = None,
) -> Parts:
    """Splits one network into several models; chained, they give the same outputs as it, bit for bit.

    Skip connections across a boundary are further tensors that the parts pass on by name. An operation that several
    parts use is in each of them.

    Args:
        model: A built Functional or Sequential model, or the path of one; it is not changed.
        how: "modular": cut behind named layers, and before and behind named nested models. "recursive": cut the
            costliest part in two, again and again. Among the places that leave each side at least a quarter of its
            cost, the one where the fewest bytes cross is taken; if there is none, the one nearest to the middle. An
            operation is never cut off from a normalization or ReLU that a file fuses into it. "hierarchical": add an
            early exit to a small first part, which answers the samples that it is sure of. "numeric": cut behind what
            no `.tflite` file can hold (strings, lookups, vocabularies): the app does what the first part does, and the
            second, `models[1]`, is converted.
        at: Names of layers or nested models, `outer/inner` for those inside; for "hierarchical", the layers that the
            first parts end with. Default of "modular": all nested models.
        parts: Number of parts, for "recursive"; default 2 where no budget is given.
        budget: Largest MACs or bytes of a part, for "recursive"; a model within it stays one part.
        by: The cost for "recursive": "macs" (default), or "bytes" of weights as Keras holds them.
        levels: Number of early exits (1): the rest behind an exit is split again.
        first: Wanted share of the MACs in the first part, of what is left at each level (0.25). A share between a
            quarter of it and 1.5 times it is accepted; among these places, the one where the fewest bytes cross is
            taken.
        head: Layers of the early exits: "flatten" or "average" (pooling), then Dense; "auto" (default) flattens if
            the head then has at most a tenth of the network's MACs.
        trainable_trunk: Whether fitting `exits` also trains the network (False); then `exits` has the network's output
            as its last one, so that all train together, and the parts no longer give the outputs of `model`.
        threshold: Confidence in [0, 1] above which an exit answers a sample (0.9), one or one for each exit; see
            `Parts.choose_threshold`.
        seed: Seed of the heads' initial weights (0).

    Returns:
        The parts.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If an argument does not fit, a name is not there, or no part can be made smaller.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> x = inputs = keras.Input((8, 8, 1))
        >>> for k in range(4):
        ...     x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name=f"conv{k}")(x)
        >>> x = keras.layers.GlobalAveragePooling2D()(x)
        >>> model = keras.Model(inputs, keras.layers.Dense(3)(x))
        >>> halves = tfc.split(model, "recursive", parts=2)
        >>> [part.count_params() for part in halves.models]
        [664, 1195]
        >>> tree = tfc.split(model, "hierarchical")
        >>> tree.exits.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> data = np.random.default_rng(0).random((40, 8, 8, 1), "float32")
        >>> fitted = tree.exits.fit(data, np.arange(40) % 3, verbose=0)
        >>> tree.choose_threshold(data, agreement=1.0) <= 1.0
        True
        >>> run = tree.run(data)
        >>> run.share_early + run.shares[-1]
        1.0
    """
    given = {
        "at": at,
        "parts": parts,
        "budget": budget,
        "by": by,
        "levels": levels,
        "first": first,
        "head": head,
        "trainable_trunk": trainable_trunk,
        "threshold": threshold,
        "seed": seed,
    }
    options = _options(how, {name: value for name, value in given.items() if value is not None})
    model = load_model(model)
    if is_wrapped(model):
        model = finish_model(model)
    state = CompressionState.of(model)
    trained = {flat_name(t.path): t for t in state.op_plans} if state is not None else {}
    course = StepGraph(model)
    if how == "hierarchical":
        return _hierarchical(course, options, trained)
    bounds = _BOUNDS[how](course, **options)
    pieces = course.pieces(bounds) if how == "recursive" else _pieces(course, bounds)
    links = [_link(piece, piece.model, None) for piece in pieces]
    return Parts(course, links, _crossing(course, pieces), trained=trained)


def _options(how: str, given: dict) -> dict:
    checks.choice("split", "how", how, _OPTIONS)
    foreign = sorted(set(given) - set(_OPTIONS[how]))
    if foreign:
        also = ", ".join(f"{name}={shown(given[name])}" for name in foreign)
        raise ValueError(f"split: how={how!r} takes {', '.join(_OPTIONS[how])}. Received also: {also}.")
    options = {**_OPTIONS[how], **given}
    if options.get("at") is not None:
        options["at"] = list(checks.texts("split", "at", options["at"]))
    if how == "recursive":
        _check_recursive(options)
    if how == "hierarchical":
        _check_hierarchical(options, given)
    return options


def _check_recursive(options: dict) -> None:
    parts, budget, by = options["parts"], options["budget"], options["by"]
    checks.choice("split", "by", by, ("macs", "bytes"), "'macs' or 'bytes'")
    if parts is not None and budget is not None:
        raise ValueError(f"split: give parts or budget, not both. Received: parts={parts}, budget={budget}.")
    if parts is None and budget is None:
        options["parts"] = 2
    for name, least, most in (("parts", 2, MOST_PARTS), ("budget", 1, LARGEST_BUDGET)):
        if options[name] is not None:
            options[name] = checks.whole(
                "split", name, options[name], least, most, "", f"a whole number of at least {least} and at most {most}"
            )


def _check_hierarchical(options: dict, given: dict) -> None:
    if options["at"] is not None and ("levels" in given or "first" in given):
        raise ValueError("split: at names where exits are; levels and first choose them. Give one or the other.")
    options["levels"] = checks.whole(
        "split", "levels", options["levels"], 1, MOST_PARTS, "", f"a whole number in 1..{MOST_PARTS}"
    )
    options["first"] = checks.number("split", "first", options["first"], above=0, below=1, accepted="a share in (0, 1)")
    checks.choice("split", "head", options["head"], HEADS)
    checks.flag("split", "trainable_trunk", options["trainable_trunk"])
    checks.seed("split", options["seed"])
    for each in options["threshold"] if isinstance(options["threshold"], tuple | list) else (options["threshold"],):
        checks.number("split", "threshold", each, least=0, most=1, accepted="a probability in [0, 1]")


# where to cut


def _modular(course: StepGraph, at: Sequence[str] | None) -> list[set[int]]:
    names = course.nested() if at is None else list(at)
    if not names:
        raise ValueError(
            f"split: model {course.model.name!r} has no nested models to cut at. "
            "Name layers that parts end with: at=['layer', ...]; or use how='recursive'."
        )
    bounds = []
    for name in names:
        for run in course.named(name):
            whole = course.before(run)
            is_layer = any(course.steps[k].path == name for k in run)
            bounds += [whole] if is_layer else [whole - set(run), whole]
    return _growing(course, bounds)


def _numeric(course: StepGraph) -> list[set[int]]:
    """Returns the boundary behind everything that no file can hold."""
    outside = [k for k, step in enumerate(course.steps) if spec_of(step.op).outside is not None]
    if not outside:
        raise ValueError(
            f"split: model {course.model.name!r} has no strings, lookups or vocabularies to cut off. Convert it whole."
        )
    return _growing(course, [set().union(*(course.before([k]) for k in outside))])


def _growing(course: StepGraph, bounds: list[set[int]]) -> list[set[int]]:
    """Returns boundaries that each include those before; the last one includes all steps."""
    found, done = [], set()
    for bound in sorted(bounds, key=len):
        done = done | bound
        found.append(done)
    return [*found, set(range(len(course.steps)))]


def _recursive(course: StepGraph, parts: int | None, budget: int | None, by: str) -> list[set[int]]:
    order = course.line()
    weights = _macs(course) if by == "macs" else _bytes(course)
    line = _line(course, order, weights)
    places, stuck = cut_places(line, parts, budget)
    if stuck is not None:
        heaviest = max(order[slice(*stuck)], key=lambda k: weights[k])
        unit = "MACs" if by == "macs" else "bytes of weights"
        wanted = f"parts={parts}, reached: {len(places) + 1}" if budget is None else f"budget={budget:,}"
        raise ValueError(
            f"split: layer {course.steps[heaviest].path!r} has {weights[heaviest]:,} {unit} and can't be cut in two. "
            f"Received: {wanted}. Ask for less, or make the layer smaller first (tfc.PruneChannels, tfc.LowRank)."
        )
    return [set(order[:k]) for k in (*places, len(order))]


def _line(course: StepGraph, order: list[int], weights: list[int]) -> Line:
    done = [set(order[:k]) for k in range(len(order) + 1)]
    crossing = [sum(t.bytes for t in course.crossing(d)) for d in done]
    return Line([weights[k] for k in order], crossing, [not course.fuses(d) for d in done])


def _macs(course: StepGraph) -> list[int]:
    """Returns the MACs of each step; the MACs of a layer are divided equally among its calls."""
    rows = {row["name"]: row["macs"] for row in model_macs(course.model)}
    unknown = [name for name, macs in rows.items() if macs is None]
    if unknown:
        raise ValueError(
            f"split: the MACs of {unknown[:5]} are unknown: layers that are not in the layer table. "
            "Use by='bytes' or how='modular', or describe them (tfc.describe)."
        )
    paths = [step.path for step in course.steps]
    return [
        sum(macs for name, macs in rows.items() if name == path or name.startswith(f"{path}/")) // paths.count(path)
        for path in paths
    ]


def _bytes(course: StepGraph) -> list[int]:
    """Returns the bytes of the weights of each step; a shared layer counts once per call, as parts may each hold it."""
    return [
        sum(math.prod(v.shape) * tf.as_dtype(v.dtype).size for v in held)
        for held in (getattr(step.op, "variables", ()) for step in course.steps)
    ]


_BOUNDS: dict[str, Callable[..., list[set[int]]]] = {
    "modular": _modular,
    "numeric": _numeric,
    "recursive": _recursive,
}


# parts


def _pieces(course: StepGraph, bounds: list[set[int]]) -> list[Piece]:
    pieces = course.pieces(bounds)
    if len(pieces) < 2:
        raise ValueError(
            f"split: these boundaries leave model {course.model.name!r} in one part, because it starts or ends there. "
            "Name others: at=['layer', ...]."
        )
    return pieces


def _crossing(course: StepGraph, pieces: list[Piece]) -> list[list]:
    done, found = set(), []
    for piece in pieces:
        done |= set(piece.steps)
        found.append(course.crossing(done))
    return found


def _link(piece: Piece, model: keras.Model, leaving: str | None) -> PartToConvert:
    gives = [t.name for t in piece.gives] + ([] if leaving is None else [leaving])
    return PartToConvert(model, tuple(t.name for t in piece.takes), tuple(gives), _known_macs(model), leaving)


def _known_macs(model: keras.Model) -> int | None:
    try:
        found = [row["macs"] for row in model_macs(model)]
    except ValueError:  # a dimension is open
        return None
    return None if None in found else sum(found)


def _hierarchical(course: StepGraph, options: dict, trained: dict) -> Parts:
    answer, kind, activation = answer_of(course)
    pieces = _pieces(course, _first_parts(course, options))
    macs = _known_macs(course.model)
    heads, links = [], []
    for number, piece in enumerate(pieces[:-1], 1):
        tensor, name = head_input(course, piece), f"exit_{number}"
        made = make_head(tensor, answer.shape[1], activation, options["head"], name, macs, options["seed"] + number - 1)
        own = keras.tree.flatten(piece.model.outputs)
        leaving = apply(made, own[piece.gives.index(tensor)])
        inputs = piece.model.inputs
        model = keras.Model(inputs if len(inputs) > 1 else inputs[0], [*own, leaving], name=piece.model.name)
        heads.append((made, tensor))
        links.append(_link(piece, model, f"{name}_answer"))
    links.append(_link(pieces[-1], pieces[-1].model, None))
    exits = _exits(course, pieces, heads, options["trainable_trunk"])
    return Parts(course, links, _crossing(course, pieces), exits, options["threshold"], kind, trained)


def _first_parts(course: StepGraph, options: dict) -> list[set[int]]:
    if options["at"] is not None:
        return _growing(course, [course.before(run) for name in options["at"] for run in course.named(name)[-1:]])
    order, places = course.line(), []
    line = _line(course, order, _macs(course))
    for level in range(options["levels"]):
        place = first_part(line, places[-1] if places else 0, options["first"])
        if place is None:
            raise ValueError(
                f"split: behind {course.steps[order[-1]].path!r} nothing is left to split for exit {level + 1}. "
                f"Received: levels={options['levels']}. Ask for at most {level}."
            )
        places.append(place)
    return [set(order[:k]) for k in (*places, len(order))]


def _exits(course: StepGraph, pieces: list[Piece], heads: list, trainable_trunk: bool) -> keras.Model:
    specs = input_specs(course.model)
    inputs = keras.tree.map_structure(lambda s: keras.Input(batch_shape=s.shape, dtype=s.dtype, name=s.name), specs)
    values = dict(zip(course.inputs, keras.tree.flatten(inputs), strict=True))
    outputs = []
    for k, piece in enumerate(pieces if trainable_trunk else pieces[:-1]):
        if not trainable_trunk:
            piece.model.trainable = False
        given = [values[t] for t in piece.takes]
        made = keras.tree.flatten(piece.model(given if len(given) > 1 else given[0]))
        values.update(zip(piece.gives, made, strict=True))
        if k < len(heads):
            head, tensor = heads[k]
            outputs.append(apply(head, values[tensor]))
    if trainable_trunk:
        outputs += [values[t] for t in keras.tree.flatten(course.outputs)]
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name=f"{course.model.name}_exits")
