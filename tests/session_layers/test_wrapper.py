"""A wrapped layer is the layer with its weights read through the chain, and saves, loads and clones as any other."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.forward_pass import Mode
from tfcompress.fake_quant.transforms.mask import Mask
from tfcompress.fake_quant.transforms.ranges import ActivationRange
from tfcompress.graph.clone import copied
from tfcompress.graph.tree import leaves
from tfcompress.session_layers.wrapper import Compressed, Ranged
from tfcompress.session_layers.wrapping import finish_model, is_wrapped, read_counters, unwrap_layers, wrap_layers
from tfcompress.training.plan import make_plan

pytestmark = pytest.mark.sampled(4)

L = keras.layers
KEEP = tfc.Prune(tfc.schedules.constant(0.0))


def attention():
    layer = L.MultiHeadAttention(2, 3, name="it")
    return lambda x: layer(x, L.Dense(4, name="values")(x))


LAYERS = {
    "Dense": (lambda: L.Dense(5, activation="relu", name="it"), (8,)),
    "Conv1D": (lambda: L.Conv1D(5, 3, name="it"), (6, 4)),
    "Conv2D": (lambda: L.Conv2D(5, 3, name="it"), (6, 6, 4)),
    "Conv2DTranspose": (lambda: L.Conv2DTranspose(5, 3, name="it"), (6, 6, 4)),
    "DepthwiseConv2D": (lambda: L.DepthwiseConv2D(3, name="it"), (6, 6, 4)),
    "SeparableConv2D": (lambda: L.SeparableConv2D(5, 3, name="it"), (6, 6, 4)),
    "EinsumDense": (lambda: L.EinsumDense("abc,cd->abd", (None, 5), name="it"), (6, 4)),
    "Embedding": (lambda: L.Embedding(10, 4, name="it"), (6,)),
    "LSTM": (lambda: L.LSTM(4, name="it"), (6, 4)),
    "GRU": (lambda: L.GRU(4, return_sequences=True, name="it"), (6, 4)),
    "Bidirectional": (lambda: L.Bidirectional(L.LSTM(3), name="it"), (6, 4)),
    "TimeDistributed": (lambda: L.TimeDistributed(L.Dense(3), name="it"), (6, 4)),
    "MultiHeadAttention": (attention, (6, 4)),
}


def single(name):
    """Input and one layer, and a batch for it."""
    make, shape = LAYERS[name]
    keras.utils.set_random_seed(0)
    words = name == "Embedding"
    inputs = keras.Input(shape, dtype="int32" if words else "float32", name="x")
    model = keras.Model(inputs, make()(inputs))
    rng = np.random.default_rng(1)
    x = rng.integers(0, 10, (3, *shape)) if words else rng.normal(size=(3, *shape))
    return model, x.astype("int32" if words else "float32")


def session_model(model, techniques=(KEEP,)):
    """The model in wrappers, and its state; the layers inside are copies."""
    plain, _ = copied(model)
    state = make_plan(plain, list(techniques)).state
    return wrap_layers(plain, state), state


def random_masks(state):
    """Turns half of every mask off."""
    rng = np.random.default_rng(2)
    for _, _, mask in state.find(Mask):
        mask.mask.assign(rng.integers(0, 2, mask.mask.shape).astype("float32"))


def masked(model, state):
    """The plain model with masked weights written into it: what the wrapped one must compute."""
    by_path = {(t.path, c.path): np.asarray(m.mask) for t, c, m in state.find(Mask)}
    twin, _ = copied(model)
    twin_state = make_plan(twin, [KEEP]).state
    for t, c, _ in twin_state.find(Mask):
        c.variable.assign(c.variable * by_path[t.path, c.path])
    return twin


@pytest.mark.parametrize("name", LAYERS)
def test_a_wrapped_layer_reads_its_weights_through_the_chain(name, tmp_path):
    model, x = single(name)
    wrap, state = session_model(model)
    kind = wrap.get_layer("it")
    assert isinstance(kind, Compressed) and type(kind.layer) is type(model.get_layer("it"))
    assert len(state.find(Mask)) == len(tfc.spec_of(kind.layer).kernels) + (name == "MultiHeadAttention")
    expected = model(x)
    np.testing.assert_array_equal(wrap(x), expected)  # ones
    random_masks(state)
    expected = masked(model, state)(x)
    np.testing.assert_allclose(wrap(x), expected, atol=1e-6)
    assert np.abs(np.asarray(expected) - np.asarray(model(x))).max() > 1e-3
    assert wrap.output_shape == model.output_shape

    wrap.save(tmp_path / "it.keras")
    loaded = tfc.load_model(tmp_path / "it.keras")
    np.testing.assert_array_equal(loaded(x), wrap(x))
    clone = keras.models.clone_model(wrap)
    clone.set_weights(wrap.get_weights())
    np.testing.assert_array_equal(clone(x), wrap(x))
    for each in (loaded, clone):
        assert [type(o) for _, o in leaves(each)] == [type(o) for _, o in leaves(wrap)]
        assert [v.path for v in each.trainable_variables] == [v.path for v in wrap.trainable_variables]


def test_unwrapped_gives_the_plain_model_back():
    for name in ("Dense", "LSTM", "MultiHeadAttention"):
        model, x = single(name)
        wrap, state = session_model(model)
        random_masks(state)
        plain, found = unwrap_layers(wrap)
        assert not is_wrapped(plain) and is_wrapped(wrap)
        np.testing.assert_array_equal(plain(x), model(x))  # not baked
        found.bake()
        np.testing.assert_allclose(plain(x), masked(model, state)(x), atol=1e-6)


def residual():
    """Conv-BN-ReLU with a skip, a concatenation and average pooling: shared ranges, folding, sources."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 2), name="x")
    x = L.Conv2D(4, 3, padding="same", use_bias=False, name="conv")(inputs)
    x = L.ReLU(name="relu")(L.BatchNormalization(name="norm")(x))
    y = L.Conv2D(4, 1, activation="relu", name="side")(x)
    x = keras.ops.add(x, y)
    x = L.Concatenate(name="both")([x, L.Conv2D(2, 1, name="thin")(x)])
    x = L.AveragePooling2D(2, name="pool")(x)
    x = L.Flatten(name="flat")(x)
    return keras.Model(inputs, L.Dense(3, activation="softmax", name="head")(x))


def observed(state, model, x):
    """Lets the ranges look at data."""
    from tfcompress.export.simulate import observe

    observe(model, state, [{"x": x[k : k + 1]} for k in range(len(x))])


def told(state):
    """What a state says of every operation, in words."""
    name = {id(s): (k, s.limits()) for k, s in enumerate(state.ranges)}

    def word(t):
        source = t.source
        if not isinstance(t.op, L.Layer) or not (t.chains or t.affine or t.outputs):
            return "nobody asks"
        return source if source is None or isinstance(source, tuple) else name[id(source)]

    return {
        t.path: (
            sorted(t.chains),
            {k: name[id(s)] for k, s in t.outputs.items()},
            None if t.before is None else name[id(t.before)],
            t.fixed,
            t.is_last,
            getattr(t.norm, "name", None),
            t.folds,
            t.affine,
            word(t),
        )
        for t in state.op_plans
    }


@pytest.mark.parametrize("form", ["live", "loaded", "cloned"])
def test_everything_a_file_needs_comes_back(form, tmp_path):
    """Shared ranges are one again, folding and sources are found, in any copy of the wrapped model."""
    model = residual()
    x = np.random.default_rng(0).normal(size=(6, 8, 8, 2)).astype("float32")
    plain, _ = copied(model)
    state = make_plan(plain, [KEEP, tfc.Quantize("int8", overrides={"thin": None})]).state
    observed(state, plain, x)
    wrap = wrap_layers(plain, state, "recipe")
    if form == "loaded":
        wrap.save(tmp_path / "wrap.keras")
        wrap = tfc.load_model(tmp_path / "wrap.keras")
    elif form == "cloned":
        wrap = keras.models.clone_model(wrap)
        twin = wrap_layers(plain, state)
        for a, b in zip(leaves(wrap), leaves(twin), strict=True):
            for mine, theirs in zip(*(getattr(o[1], "variables", []) for o in (a, b)), strict=True):
                mine.assign(theirs)
    _, found = unwrap_layers(wrap)
    assert len(found.ranges) == len(state.ranges) > 5
    wanted, got = told(state), told(found)
    for path, facts in wanted.items():
        assert got[path] == facts, path
    assert any(facts[5] for facts in wanted.values())  # a folded normalization is among them
    assert read_counters(wrap) == {"step": 0, "total": 0, "progress": 0.0, "recipe": "recipe"}


def test_finished_leaves_the_wrapped_model_as_it_is():
    model, x = single("Dense")
    wrap, state = session_model(model)
    random_masks(state)
    before = wrap.get_weights()
    said = wrap(x).numpy()
    final = finish_model(wrap)
    np.testing.assert_allclose(final(x), said, atol=1e-6)
    kernel = final.get_layer("it").kernel.numpy()
    assert (kernel == 0).sum() == sum((np.asarray(m.mask) == 0).sum() for _, _, m in state.find(Mask))
    for a, b in zip(before, wrap.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


WORDS = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [6, 7, 8, 9, 1]], "int32")


def tagger():
    """Layers that read, pass on and end the mask of padded words."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,), dtype="int32", name="x")
    x = L.Embedding(10, 4, mask_zero=True, name="words")(inputs)
    x = L.MultiHeadAttention(2, 3, name="heads")(x, x)
    x = L.GRU(4, return_sequences=True, name="first")(x)
    x = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")(x)
    x = L.TimeDistributed(L.Dense(4), name="each")(x)
    return keras.Model(inputs, L.LSTM(3, name="last")(x))


@pytest.mark.slow
def test_masks_of_sequences_are_passed_on():
    model, words = tagger(), WORDS
    wrap, _ = session_model(model)
    assert sum(isinstance(layer, Compressed) for layer in wrap.layers) == 6
    np.testing.assert_array_equal(wrap(words), model(words))
    changed = np.where(words == 0, 3, words)
    assert np.abs(model(words) - model(changed)).max() > 1e-3  # the masks matter


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_dtypes_are_those_of_the_layer_inside(policy):
    """Whatever the global policy is when it is wrapped, loaded and called."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8,), name="x")
    x = L.Dense(6, activation="relu", dtype=policy, name="half")(inputs)
    full = L.Dense(3, activation="softmax", dtype="float32", name="full")(x)
    model = keras.Model(inputs, full)
    x = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    for ambient in ("float32", policy):
        keras.config.set_dtype_policy(ambient)
        try:
            wrap, _ = session_model(model, [KEEP, tfc.Quantize("int8")])
            config = keras.saving.serialize_keras_object(wrap)
            again = keras.saving.deserialize_keras_object(config)
        finally:
            keras.config.set_dtype_policy("float32")
        for each in (wrap, again):
            half, full = each.get_layer("half"), each.get_layer("full")
            assert half.output.dtype == model.get_layer("half").output.dtype
            assert full.output.dtype == "float32" and each(x).dtype == "float32"
            assert half.layer.kernel.dtype == full.layer.kernel.dtype == "float32"
    plain_wrap, _ = session_model(model)
    np.testing.assert_array_equal(plain_wrap(x), model(x))


def test_frozen_layers_stay_frozen(tmp_path):
    model, _ = single("Dense")
    model.get_layer("it").trainable = False
    wrap, _ = session_model(model, [tfc.Prune(0.5, where="it")])
    wrap.save(tmp_path / "frozen.keras")
    for each in (wrap, tfc.load_model(tmp_path / "frozen.keras")):
        assert each.trainable_variables == [] and not each.get_layer("it").layer.trainable


def test_losses_and_state_reach_the_layer_inside():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8,))
    options = {"kernel_regularizer": "l2", "activity_regularizer": "l1"}
    x = L.Dense(6, name="it", **options)(inputs)
    model = keras.Model(inputs, L.LSTM(3, dropout=0.5, seed=3, name="rnn")(L.Reshape((2, 3))(x)))
    x = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    wrap, _ = session_model(model)
    for training in (True, True, False):  # the second call draws the next dropout
        np.testing.assert_array_equal(wrap(x, training=training), model(x, training=training))
        losses = [sorted(float(loss) for loss in m.losses) for m in (wrap, model)]
        assert losses[0] == losses[1] and len(losses[0]) == 2
    assert not np.array_equal(model(x, training=True), model(x, training=True))


class Block(L.Layer):
    """A layer made of layers, of a type nobody described."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = L.Dense(4, name="dense")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


def test_what_can_not_be_wrapped_is_refused_with_the_way_out():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Dense(2)(Block(name="block")(inputs)))
    with pytest.raises(ValueError, match=r"'block' of type Block.*block/dense|dense.*tfc\.describe"):
        session_model(model)
    with pytest.raises(ValueError, match=r"is a session's.*tfc\.compress"):
        make_plan(session_model(single("Dense")[0])[0], [KEEP])


def test_a_layer_of_layers_that_holds_nothing_treated_is_left_as_it_is():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Dense(2, name="head")(Block(name="block")(inputs)))
    wrap, _ = session_model(model, [tfc.Prune(0.5, where="head")])
    assert [type(layer) for layer in wrap.layers[1:]] == [Block, Compressed]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_ranged_keeps_dtype_mask_and_state(dtype):
    span = ActivationRange(positive=True)
    ranged = Ranged(span, number=4, entrance=1)
    x = np.linspace(0, 2, 12).reshape(3, 4).astype(dtype)
    assert ranged(keras.KerasTensor((None, 4), dtype)).dtype == dtype
    assert ranged(keras.ops.convert_to_tensor(x), training=True).dtype == dtype
    assert span.limits() == (0.0, 2.0)
    codes = np.asarray(ranged(keras.ops.convert_to_tensor(x)), "float32") / (2.0 / 255)
    np.testing.assert_allclose(codes, np.round(codes), atol=0.2 if dtype == "float16" else 1e-3)
    again = Ranged.from_config(ranged.get_config())
    assert (again.number, again.entrance, again.span.positive) == (4, 1, True)
    assert again.compute_output_shape((3, 4)) == (3, 4) and again.supports_masking


def test_training_follows_the_batches_and_testing_does_not():
    model, _ = single("Dense")
    wrap, state = session_model(model, [tfc.Quantize("int8")])
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    wrap(x)
    assert not any(span.is_set for span in state.ranges)
    wrap(x, training=True)
    assert all(span.is_set for span in state.ranges)
    assert state.ranges[0].limits() == pytest.approx((x.min(), x.max()))
    limits = [span.limits() for span in state.ranges]
    wrap(3 * x)
    assert [span.limits() for span in state.ranges] == limits


def called_by_names():
    """All arguments by keyword."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 2), name="x")
    x = L.Reshape((16, 8))(inputs)
    return keras.Model(inputs, L.MultiHeadAttention(2, 3)(query=x, value=x))


@pytest.mark.parametrize("make", [residual, tagger, called_by_names])
def test_the_wrapper_and_the_hook_compute_the_same(make):
    """Also where a range makes a new tensor of one that carries a mask."""
    from tfcompress.fake_quant.patching import patched_calls

    model = make()
    images = np.random.default_rng(0).normal(size=(6, 8, 8, 2)).astype("float32")
    x = WORDS if make is tagger else images
    plain, _ = copied(model)
    state = make_plan(plain, [KEEP, tfc.Quantize("int8")]).state
    observed(state, plain, x)
    random_masks(state)
    wrap = wrap_layers(plain, state)
    with patched_calls(plain, state, Mode.TEST):
        expected = plain(x).numpy()
    np.testing.assert_allclose(wrap(x), expected, atol=1e-6)


def test_a_fixed_range_has_the_width_of_the_activations_also_in_a_session(tmp_path):
    """Four bits in front of a sigmoid: 16 answers, by the hook, by the wrapper, and by the wrapper that was saved."""
    from tfcompress.fake_quant.patching import patched_calls

    inputs = keras.Input((8,), name="x")
    model = keras.Model(inputs, L.Flatten()(L.Activation("sigmoid", name="gate")(L.Dense(8, name="it")(inputs))))
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    state = make_plan(model, [tfc.Quantize("w4a4")]).state
    observed(state, model, x)
    with patched_calls(model, state, Mode.TEST):
        hook = model(x).numpy()
    wrap = wrap_layers(model, state)
    wrap.save(tmp_path / "wrap.keras")
    assert len(np.unique(hook)) <= 16
    np.testing.assert_array_equal(wrap(x), hook)
    np.testing.assert_array_equal(tfc.load_model(tmp_path / "wrap.keras")(x), hook)
