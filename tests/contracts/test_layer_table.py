"""Every row of the table keeps the laws of the mechanism; user layers join by one `describe`."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.export.post_training import quantized_state
from tfcompress.fake_quant.forward_pass import Mode
from tfcompress.fake_quant.patching import patched_calls
from tfcompress.graph.keras_private import float32
from tfcompress.graph.tree import leaves
from tfcompress.layer_table import lookup
from tfcompress.training.plan import make_plan

L = keras.layers


def test_every_row_has_a_case(all_cases):
    covered = {t for case in all_cases for t in case.types()}
    rows = {t for t in lookup.rows() if t.__module__.startswith("keras.")} - {L.InputLayer}
    in_no_file = {t for t in rows if lookup.rows()[t].outside}  # tests/export/test_check.py
    of_code = {t for t in rows if lookup.rows()[t].holds_code}  # tests/graph/inside
    assert rows - covered == in_no_file | of_code
    assert len(rows) >= 36


def test_axes_name_every_axis(case):
    for _, op in leaves(case.model()):
        facts = lookup.spec_of(op)
        assert isinstance(op, L.InputLayer) or not isinstance(op, L.Layer) or facts.is_known
        for path in facts.kernels:
            variable = lookup.weight(op, path)
            assert len(facts.axes[path]) == len(variable.shape)
            channels = facts.channel_axes(path)
            assert sorted((*channels, *facts.fan_in_axes(path))) == [*range(len(variable.shape))]
            assert channels, f"{path} has no axis with a scale of its own"


@pytest.mark.sampled(4)
def test_an_operation_plan_that_does_nothing_changes_nothing(case):
    model, x = case.model(between=True), case.data(8)
    treated = make_plan(model, [tfc.Prune(0.0)]).state
    plain = np.asarray(model(x, training=False))
    with patched_calls(model, treated, Mode.TEST):
        assert np.array_equal(np.asarray(model(x, training=False)), plain)
    assert np.array_equal(np.asarray(model(x, training=False)), plain)


@pytest.mark.sampled(4)
def test_masks_and_clusters_are_baked_exactly(kernel_case):
    model = kernel_case.model()
    recipe = [tfc.Prune(0.6), tfc.Cluster(4)]
    compression = tfc.Compression(recipe, verbose=0)
    compression.set_model(model)
    compression.finish()
    chains = compression.state.chains()
    listed = [p for _, op in leaves(model) for p in lookup.spec_of(op).kernels]
    assert len(chains) == len(listed) > 0
    baked = [np.array(c.variable) for c in chains]
    for w in baked:
        assert np.sum(w == 0) == round(0.6 * w.size)
        assert len(np.unique(w)) <= 5
    compression.state.bake()
    assert all(np.array_equal(a, np.array(c.variable)) for a, c in zip(baked, chains, strict=True))


@pytest.mark.sampled(4)
def test_weights_on_their_grid_have_int8_codes(kernel_case):
    model = kernel_case.model()
    for chain in quantized_state(model, lambda op: False).chains():
        w, grid = chain.value().numpy(), chain.transforms[-1]
        codes = w / grid.scale(chain.variable.numpy()).numpy()
        assert np.abs(codes - np.round(codes)).max() < 1e-3
        peaks = np.abs(np.round(codes)).max(axis=grid.reduced)
        assert np.all((peaks == 127) | (peaks == 0))


class Scale(L.Layer):
    """A user's layer: a product with a kernel."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")

    def call(self, x):
        return keras.ops.matmul(x, self.kernel)


class Block(L.Layer):
    """A user's layer made of layers made of layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.block, self.act = Pair(), L.ReLU()

    def build(self, shape):
        self.block.build(shape)

    def call(self, x):
        return self.act(self.block(x))


class Pair(L.Layer):
    def __init__(self):
        super().__init__()
        self.dw, self.pw = L.DepthwiseConv2D(3), L.Conv2D(5, 1)

    def build(self, shape):
        self.dw.build(shape)
        self.pw.build(self.dw.compute_output_shape(shape))

    def call(self, x):
        return self.pw(self.dw(x))


@pytest.fixture
def described():
    """User layers in the table, and out again."""
    tfc.describe(Scale, flow="mix", kernel="io")
    tfc.describe(Block, flow="mix", **{"block/dw/kernel": "xycm", "block/pw/kernel": "xyio"})
    yield
    lookup.remove_rows(Scale, Block)


def user_model(layer):
    return keras.Sequential([keras.Input((6, 6, 4), name="x"), layer, L.Flatten(), L.Dense(3)])


@pytest.mark.parametrize("kind", [Scale, Block])
def test_a_described_layer_is_treated_like_any_other(kind, described):
    model = user_model(kind(name="mine"))
    x = np.random.default_rng(0).normal(size=(48, 6, 6, 4)).astype("float32")
    compression = tfc.Compression([tfc.Prune(0.5)], verbose=0)
    compression.set_model(model)
    compression.finish()
    paths = [c.path for c in compression.state.chains()]
    assert paths[:-1] == list(lookup.spec_of(model.layers[0]).kernels)
    for chain in compression.state.chains():
        w = np.array(chain.variable)
        assert np.sum(w == 0) == round(0.5 * w.size)
    artifact = tfc.convert(model, calibration=x)
    assert artifact.is_integer and artifact.metadata["parity"][0]["largest_gap"] < 3.5


def test_an_undescribed_composite_is_looked_into():
    model = user_model(Block(name="mine"))
    paths = [path for path, _ in leaves(model) if "/" in path]
    inside = [path.split("/") for path in paths]
    assert [path[0] for path in inside] == ["mine"] * 3
    names = [("_".join(p for p in path[-1].split("_") if not p.isdigit())) for path in inside]
    assert names == ["depthwise_conv2d", "conv2d", "re_lu"]


class Bent(Scale):
    """A user's layer that computes its kernel."""

    def call(self, x):
        return keras.ops.matmul(x, keras.ops.tanh(self.kernel))


def test_an_undescribed_layer_is_reported_and_left_alone():
    plan = make_plan(user_model(Bent(name="mine")), [tfc.Prune(0.5)])
    row = next(r for r in plan.rows if r.layer == "mine")
    assert not row.is_treated and "tfc.describe" in row.action


def test_the_kernel_of_a_product_needs_no_description():
    plan = make_plan(user_model(Scale(name="mine")), [tfc.Prune(0.5)])
    row = next(r for r in plan.rows if r.layer == "mine/matmul")
    assert row.is_treated and row.weight == "kernel"


def test_bad_descriptions_are_refused():
    with pytest.raises(ValueError, match="letters of 'iocmxyzgndrevj'.*'iq'"):
        tfc.describe(Scale, kernel="iq")
    with pytest.raises(ValueError, match="has no weight 'kernel'"):
        lookup.weight(L.Dense(3), "kernel")


def test_half_precision_is_lifted_for_the_file(case_named):
    """A mixed-precision model runs in float32 for the file, and no policy is left changed."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = case_named("Conv2D").model()
    finally:
        keras.config.set_dtype_policy("float32")
    with float32(model):
        assert model.get_layer("it").compute_dtype == "float32"
    assert model.get_layer("it").compute_dtype == "bfloat16"
