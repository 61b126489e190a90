"""Law: parts chained by name answer as the model does, bit for bit, wherever it is cut."""

import keras
import numpy as np
import pytest

from tfcompress.partition.subgraph import StepGraph

L = keras.layers


def chained(course, pieces, x):
    """Answers of the pieces, one after the other, on named tensors."""
    held = dict(zip(course.inputs, x if isinstance(x, list) else [x], strict=True))
    for piece in pieces:
        given = [keras.ops.convert_to_tensor(held[t]) for t in piece.takes]
        made = piece.model(given if len(given) > 1 else given[0], training=False)
        held.update(zip(piece.gives, [np.asarray(y) for y in keras.tree.flatten(made)], strict=True))
    return [held[t] for t in keras.tree.flatten(course.outputs)]


def largest_gap(model, pieces, course, x):
    wanted = [np.asarray(y) for y in keras.tree.flatten(model(x, training=False))]
    return max(float(np.abs(a - b).max()) for a, b in zip(chained(course, pieces, x), wanted, strict=True))


def everywhere(course):
    order = course.line()
    return [set(order[: k + 1]) for k in range(len(order))]


def dense_net():
    x = inputs = keras.Input((8, 8, 3))
    for _ in range(3):
        y = L.Conv2D(4, 3, padding="same", use_bias=False)(L.ReLU()(L.BatchNormalization()(x)))
        x = L.Concatenate()([x, y])
    return keras.Model(inputs, L.Dense(4, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def side_head():
    x = inputs = keras.Input((8, 8, 1), name="image")
    x = L.Conv2D(8, 3, name="first")(x)
    side = L.Dense(2, name="side")(L.GlobalAveragePooling2D(name="pool")(x))
    for k in range(3):
        x = L.Conv2D(8, 3, padding="same", name=f"later{k}")(x)
    return keras.Model(inputs, {"main": L.Dense(3, name="main")(L.Flatten(name="flat")(x)), "side": side})


def masked():
    inputs = keras.Input((6,), dtype="int32")
    x = L.Dense(5)(L.Embedding(11, 4, mask_zero=True)(inputs))
    x = L.LSTM(4)(L.GRU(3, return_sequences=True)(x))
    return keras.Model(inputs, L.Dense(2)(x))


def given_back():
    inputs = keras.Input((4,))
    x = L.Dense(3, name="middle")(inputs)
    return keras.Model(inputs, [x, inputs, L.Dense(2)(x)])


def twice():
    block = keras.Sequential([keras.Input((4,)), L.Dense(4), L.ReLU()], name="block")
    inputs = keras.Input((4,))
    return keras.Model(inputs, L.Dense(2, name="last")(block(block(inputs))))


@pytest.mark.sampled(3)
def test_cut_at_every_place_the_answers_are_equal(cuttable, graph_models):
    course = StepGraph(cuttable)
    pieces = course.pieces(everywhere(course))
    assert len(pieces) == len(course.steps)
    assert largest_gap(cuttable, pieces, course, graph_models.batch(cuttable)) == 0.0


@pytest.mark.parametrize("build", [dense_net, side_head, masked, given_back, twice])
def test_so_are_those_of_nets_with_skips_side_heads_and_masks(build, graph_models):
    model = graph_models.shaken(build())
    course = StepGraph(model)
    pieces = course.pieces(everywhere(course))
    assert largest_gap(model, pieces, course, graph_models.batch(model)) == 0.0


def test_a_skip_connection_is_a_further_tensor(graph_models):
    model = graph_models.shaken(dense_net())
    course = StepGraph(model)
    norm_relu_conv = {0, 1, 2}
    first, second = course.pieces([norm_relu_conv, set(range(len(course.steps)))])
    assert second.takes == (course.inputs[0], *first.gives) and len(first.gives) == 1
    assert [x.name for x in keras.tree.flatten(second.model.inputs)] == [t.name for t in second.takes]


def test_layers_are_copies_with_their_names():
    model = side_head()
    course = StepGraph(model)
    first, second = course.pieces([course.before(course.named("first")[0]), set(range(len(course.steps)))])
    assert [layer.name for layer in first.model.layers] == ["image", "first"]
    copy, original = first.model.get_layer("first"), model.get_layer("first")
    assert copy is not original
    original.kernel.assign(original.kernel * 2)
    np.testing.assert_array_equal(2 * copy.kernel.numpy(), original.kernel.numpy())
    assert second.model.count_params() + first.model.count_params() == model.count_params()


def test_a_line_runs_a_side_head_before_what_is_large():
    course = StepGraph(side_head())
    order = course.line()
    assert sorted(order) == list(range(len(course.steps)))
    assert all(course.before(order[:k]) == set(order[:k]) for k in range(len(order)))
    paths = [course.steps[k].path for k in order]
    assert paths.index("side") < paths.index("later0")


def test_crossing_tensors_and_their_bytes():
    course = StepGraph(side_head())
    done = course.before(course.named("pool")[0])
    assert {t.name: t.bytes for t in course.crossing(done)} == {"first_out": 4 * 6 * 6 * 8, "pool_out": 4 * 8}
    assert course.crossing(set(range(len(course.steps)))) == []


def test_fused_operations_belong_together():
    course = StepGraph(dense_net())
    norm, relu = (course.before([k]) for k in (0, 1))
    assert course.fuses(norm) and not course.fuses(relu)


def test_each_call_of_a_nested_model_is_a_run():
    course = StepGraph(twice())
    first, second = course.named("block")
    assert len(first) == len(second) == 2 and course.nested() == ["block"]
    assert course.before(second) == set(first) | set(second)


def test_a_shared_layer_serves_all_parts(graph_models):
    model = graph_models.shaken(twice())
    course = StepGraph(model)
    pieces = course.pieces(everywhere(course))
    assert pieces[0].model.layers[-1] is pieces[2].model.layers[-1]


def test_wrong_names_boundaries_and_models_are_refused():
    course = StepGraph(side_head())
    with pytest.raises(ValueError, match="no layer or nested model 'frist'. It has: first"):
        course.named("frist")
    everything = set(range(len(course.steps)))
    with pytest.raises(ValueError, match="must include the one before it"):
        course.pieces([course.before([3]), course.before([0]), everything])
    with pytest.raises(ValueError, match="all that its steps need"):
        course.pieces([{max(everything)}, everything])
    with pytest.raises(ValueError, match="hold 1 of"):
        course.pieces([course.before([0])])

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="no graph"):
        StepGraph(Own())
