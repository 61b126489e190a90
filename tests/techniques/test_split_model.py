"""split: the parts answer as the network does; boundaries where they are said to lie; early exits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.demo import networks
from tfcompress.session_layers.wrapping import finish_model, is_wrapped

L = keras.layers


def gap(parts, model, x):
    got, wanted = parts.predict(x), model(x, training=False)
    pairs = zip(keras.tree.flatten(got), keras.tree.flatten(wanted), strict=True)
    return max(float(np.abs(a - np.asarray(b)).max()) for a, b in pairs)


def blocks(ending="softmax"):
    x = inputs = keras.Input((8, 8, 1), name="image")
    for k in range(4):
        y = L.Conv2D(8, 3, padding="same", activation="relu", name=f"block{k}_conv")(x)
        x = y if k == 0 else L.Add(name=f"block{k}_add")([x, y])
    x = L.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, L.Dense(3, activation=ending, name="end")(x), name="blocks")


def images(count=30, seed=0):
    return np.random.default_rng(seed).random((count, 8, 8, 1), "float32")


def outer():
    inner = keras.Sequential([keras.Input((8, 8, 4)), L.Conv2D(4, 3, padding="same"), L.ReLU()], name="inner")
    x = inputs = keras.Input((8, 8, 1))
    x = inner(L.Conv2D(4, 1, name="stem")(x))
    return keras.Model(inputs, L.Dense(2, name="end")(L.Flatten(name="flat")(x)), name="outer")


@pytest.mark.parametrize("name", ["residual", "concatenated", "shared", "recurrent", "transformer"])
def test_the_parts_answer_as_the_network(name, graph_models):
    model = graph_models.shaken(graph_models.ALL[name]())
    parts = tfc.split(model, "recursive", parts=3)
    assert len(parts.models) == 3
    assert gap(parts, model, graph_models.batch(model, 20)) == 0.0


@pytest.mark.slow
def test_so_do_those_of_a_mobilenet():
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2((32, 32, 3), weights=None, classes=10)
    x = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
    parts = tfc.split(model, "recursive", parts=4)
    assert len(parts.models) == 4 and gap(parts, model, x) == 0.0
    named = tfc.split(model, "modular", at=["block_3_project_BN", "block_13_expand_relu"])
    assert len(named.models) == 3 and gap(named, model, x) == 0.0


def test_modular_parts_end_with_the_named_layers():
    model = blocks()
    parts = tfc.split(model, "modular", at=["block3_add", "block1_add"])
    ends = [[layer.name for layer in part.layers][-1] for part in parts.models]
    assert ends == ["block1_add", "block3_add", "end"]
    assert gap(parts, model, images()) == 0.0


def test_modular_parts_are_the_nested_models():
    model = outer()
    parts = tfc.split(model, "modular")
    held = [[layer.name for layer in part.layers if layer.weights] for part in parts.models]
    assert held[0] == ["stem"] and held[2] == ["end"] and held[1][0].startswith("inner_")
    assert gap(parts, model, images()) == 0.0
    assert len(tfc.split(model, "modular", at="inner").models) == 3


def test_recursive_parts_keep_the_budget_of_macs():
    model = blocks()
    total = tfc.split(model, parts=2).run(images(2)).macs
    budget = sum(total) // 2
    parts = tfc.split(model, "recursive", budget=budget)
    macs = parts.run(images(2)).macs
    assert len(macs) > 1 and max(macs) <= budget and sum(macs) == sum(total)
    assert len(tfc.split(model, "recursive", budget=sum(total)).models) == 1


def test_recursive_parts_keep_the_budget_of_bytes():
    model = networks.lenet5()
    parts = tfc.split(model, "recursive", by="bytes", budget=1_700_000)
    assert max(4 * part.count_params() for part in parts.models) <= 1_700_000
    with pytest.raises(ValueError, match="layer 'dense' has 1,602,000 bytes of weights and can't be cut"):
        tfc.split(model, "recursive", by="bytes", budget=1_000_000)


def test_a_boundary_lies_where_few_bytes_cross():
    halves = tfc.split(blocks(), "recursive")
    assert halves.models[0].layers[-1].name == "block1_add"  # one tensor, not the two inside a block
    assert "2,048 bytes: block1_add_out" in halves.text()


@pytest.mark.slow
def test_the_exits_learn_and_the_rest_runs_for_the_unsure(tiny_data):
    x, y = tiny_data
    keras.utils.set_random_seed(0)
    model = blocks(None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(x, y, epochs=3, verbose=0)
    before = [w.copy() for w in model.get_weights()]
    parts = tfc.split(model, "hierarchical", levels=2, head="flatten")
    assert [o.name.split("/")[0] for o in parts.exits.layers if o.name in ("exit_1", "exit_2")] == ["exit_1", "exit_2"]
    frozen = [np.copy(w) for w in parts.models[0].get_layer("block0_conv").get_weights()]
    parts.exits.compile(keras.optimizers.Adam(0.01), loss, metrics=[["accuracy"], ["accuracy"]])
    history = parts.exits.fit(x, [y, y], epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    for now, then in zip(parts.models[0].get_layer("block0_conv").get_weights(), frozen, strict=True):
        np.testing.assert_array_equal(now, then)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    whole = np.asarray(model(x)).argmax(axis=1)
    threshold = parts.choose_threshold(x, agreement=0.95)
    run = parts.run(x)
    agreement = np.mean(run.outputs["end"].argmax(axis=1) == whole)
    assert agreement >= 0.95 and parts.threshold == (threshold, threshold)
    assert run.share_early > 0 and run.mean_macs < sum(run.macs)
    parts.threshold = 1.0
    assert gap(parts, model, x[:32]) == 0.0


@pytest.mark.slow
def test_a_trunk_may_train_with_its_exits():
    model, x = blocks(), images(32)
    parts = tfc.split(model, "hierarchical", trainable_trunk=True)
    parts.exits.compile("adam", "sparse_categorical_crossentropy")
    conv = parts.models[0].get_layer("block0_conv")
    before = conv.get_weights()[0].copy()
    parts.exits.fit(x, [np.arange(32) % 3] * 2, verbose=0)
    assert not np.array_equal(before, conv.get_weights()[0])
    np.testing.assert_allclose(np.asarray(parts.exits(x)[0]).sum(axis=1), 1, rtol=1e-5)
    parts.threshold = 1.0
    np.testing.assert_allclose(parts.predict(x), parts.exits(x)[1], atol=1e-6)


@pytest.mark.parametrize("head, layer", [("average", L.GlobalAveragePooling2D), ("flatten", L.Flatten)])
def test_heads(head, layer):
    parts = tfc.split(blocks(), "hierarchical", head=head, seed=4)
    first = parts.models[0]
    assert isinstance(first.get_layer(f"exit_1_{head}"), layer)
    assert first.get_layer("exit_1").activation is keras.activations.softmax and parts.kind == "probabilities"
    again = tfc.split(blocks(), "hierarchical", head=head, seed=4).models[0]
    np.testing.assert_array_equal(first.get_layer("exit_1").kernel.numpy(), again.get_layer("exit_1").kernel.numpy())
    other = tfc.split(blocks(), "hierarchical", head=head, seed=5).models[0]
    assert not np.array_equal(first.get_layer("exit_1").kernel.numpy(), other.get_layer("exit_1").kernel.numpy())


def test_the_first_part_is_small():
    parts = tfc.split(blocks(), "hierarchical", first=0.3)
    first, rest = parts.run(images(2)).macs
    assert first < 0.5 * (first + rest)
    assert tfc.split(blocks(), "hierarchical", at=["block2_add"]).models[0].get_layer("block2_add") is not None


def test_parts_of_a_session_are_those_of_its_plain_model():
    model = blocks(None)
    session = tfc.compress(model, [tfc.Prune(0.5)])
    assert is_wrapped(session.model)
    parts = tfc.split(session.model, "recursive")
    assert not any(is_wrapped(part) for part in parts.models)
    assert gap(parts, finish_model(session.model), images()) == 0.0


def test_the_table_adds_up():
    parts = tfc.split(blocks(), "recursive", parts=3)
    *rows, total = parts.text().splitlines()[1:]
    counted = [int(row.split()[2].replace(",", "")) for row in rows]
    assert counted == [part.count_params() for part in parts.models]
    assert int(total.split()[2].replace(",", "")) == sum(counted) == blocks().count_params()


@pytest.mark.parametrize(
    "how, options, message",
    [
        ("halves", {}, "how must be one of"),
        ("recursive", {"at": ["end"]}, "how='recursive' takes parts, budget, by. Received also: at"),
        ("modular", {"parts": 2}, "Received also: parts"),
        ("recursive", {"parts": 2, "budget": 9}, "parts or budget, not both"),
        ("recursive", {"parts": 1}, "parts must be a whole number of at least 2"),
        ("recursive", {"budget": 0.5}, "budget must be a whole number"),
        ("recursive", {"by": "ms"}, "by must be 'macs' or 'bytes'"),
        ("recursive", {"budget": 10}, "layer 'block2_conv' has 36,864 MACs and can't be cut in two"),
        ("recursive", {"parts": 99}, "can't be cut in two. Received: parts=99, reached: 5"),
        ("modular", {}, "no nested models to cut at"),
        ("modular", {"at": ["block9"]}, "no layer or nested model 'block9'. It has: block0_conv"),
        ("modular", {"at": ["end"]}, "leave model 'blocks' in one part"),
        ("hierarchical", {"levels": 0}, "levels must be a whole number"),
        ("hierarchical", {"levels": 50}, "nothing is left to split for exit"),
        ("hierarchical", {"levels": 2, "at": ["block1_add"]}, "Give one or the other"),
        ("hierarchical", {"first": 25}, "first must be a share"),
        ("hierarchical", {"head": "dense"}, "head must be one of"),
        ("hierarchical", {"threshold": 1.2}, "threshold must be a probability"),
        ("hierarchical", {"threshold": [0.5, 0.5]}, "of which there are 1"),
    ],
)
def test_bad_settings_are_refused(how, options, message):
    with pytest.raises(ValueError, match=message):
        tfc.split(blocks(), how, **options)


def test_what_is_no_classifier_has_no_exits(graph_models):
    with pytest.raises(ValueError, match="needs a classifier with one output"):
        tfc.split(graph_models.shared(), "hierarchical")
    parts = tfc.split(blocks(), "recursive")
    assert parts.exits is None
    with pytest.raises(ValueError, match="there are no early exits"):
        parts.choose_threshold(images())
    with pytest.raises(ValueError, match="takes shape"):
        parts.predict(np.zeros((2, 5)))


def test_numeric_cuts_the_vocabulary_off():
    words = L.TextVectorization(20, output_sequence_length=6, name="words")
    words.adapt(["the cat sat on the mat", "a dog ate the bone"])
    text, x = keras.Input((1,), dtype="string", name="text"), keras.Input((3,), name="x")
    h = L.GlobalAveragePooling1D()(L.Embedding(20, 8)(words(text)))
    model = keras.Model([text, x], L.Dense(2)(L.Concatenate()([h, L.Dense(4)(x)])))
    x = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    given = [tf.constant([["the cat ate"], ["a dog sat on the bone"]]), tf.constant(x)]
    front, rest = tfc.split(model, "numeric").models
    assert front.inputs[0].dtype == "string" and {v.dtype for v in rest.inputs} == {"int64", "float32"}
    read = [front(given[0]), given[1]] if rest.inputs[0].dtype == "int64" else [given[1], front(given[0])]
    np.testing.assert_array_equal(np.asarray(rest(read)), np.asarray(model(given)))
    assert tfc.convert(rest, calibration=[np.asarray(v).repeat(8, 0) for v in read]).is_integer
    with pytest.raises(ValueError, match="no strings, lookups or vocabularies"):
        tfc.split(rest, "numeric")
