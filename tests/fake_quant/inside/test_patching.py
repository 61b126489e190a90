"""Plans of operations inside of layers: without effect they change nothing, with effect they do what the file does."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.export.post_training import quantized_state
from tfcompress.export.simulate import float_outputs, observe, simulate
from tfcompress.fake_quant.forward_pass import Mode
from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.patching import patched_calls
from tfcompress.graph.inside.opened import operations
from tfcompress.graph.keras_private import input_specs
from tfcompress.graph.trace import open_up
from tfcompress.layer_table.inner_operation import InnerOperation
from tfcompress.training.plan import make_plan

pytestmark = pytest.mark.sampled(6)


def as_samples(model, x):
    """Inputs as `observe` takes them."""
    (spec,) = keras.tree.flatten(input_specs(model))
    return [{spec.name: s[None]} for s in x]


def test_operations_inside_get_ranges_and_looking_changes_nothing(own_layers, own_model):
    x = own_layers.samples()
    plain = float_outputs(own_model, x)
    state = quantized_state(own_model, lambda op: False)
    for plan in state.op_plans:
        plan.chains.clear()
        plan.cuts = None  # of masks, which float sums keep
    made = observe(own_model, state, as_samples(own_model, x))
    np.testing.assert_allclose(made, plain, atol=1e-6)
    assert all(span.is_set for span in state.ranges)


@pytest.mark.parametrize("net", ["block", "noted", "subclassed"])
@pytest.mark.parametrize("eager", [False, True])
def test_training_through_plans_that_do_nothing_is_the_plain_training(own_layers, net, eager):
    """Losses, updates of state, seeds and gradients stay what they are."""
    x, results = own_layers.samples(), []
    for is_patched in (False, True):
        keras.utils.set_random_seed(0)
        model = own_layers.MODELS[net]()
        model.compile("sgd", "mse", run_eagerly=eager)
        y = np.zeros(model.predict(x, verbose=0).shape, "float32")
        state = SimpleNamespace(op_plans=[], inputs=[])
        if is_patched:
            open_up(model)
            inner = [(path, op) for path, op in operations(model) if isinstance(op, InnerOperation)]
            state.op_plans = [OpPlan(path, op, k, captures=True) for k, (path, op) in enumerate(inner)]
        with patched_calls(model, state, Mode.TRAIN):
            losses = [model.train_on_batch(x[k : k + 8], y[k : k + 8]) for k in (0, 8, 16)]
        assert all(plan.features for plan in state.op_plans)  # each operation was reached
        results.append((losses, [np.asarray(v) for v in model.variables]))
    (one, before), (two, after) = results
    np.testing.assert_array_equal(one, two)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_simulation_is_the_file(own_layers, own_model):
    x = own_layers.samples()
    artifact = tfc.convert(own_model, calibration=x, diagnose=False)
    assert artifact.is_integer
    assert all(p["largest_gap"] < 5.5 for p in artifact.metadata["parity"])


@pytest.mark.slow
def test_training_reaches_a_file_that_keeps_its_promises(own_layers, own_model):
    x = own_layers.samples()
    y = own_model.predict(x, verbose=0)
    own_model.compile("adam", "mse")
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    own_model.fit(x, y, batch_size=12, epochs=2, verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=x, diagnose=False)
    got, wanted = artifact.predict(x), own_model.predict(x, verbose=0)
    assert artifact.is_integer
    assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.12 * wanted.std()


def test_a_layer_that_computes_otherwise_is_named(own_layers):
    class Fickle(keras.layers.Layer):
        mode = "add"

        def call(self, x):
            return x + 1.0 if self.mode == "add" else x * 2.0

    model = own_layers.stack(keras.layers.Dense(4), Fickle(name="fickle"), keras.layers.Dense(2))
    plan = make_plan(model, [tfc.Quantize("int8")])
    model.get_layer("fickle").mode = "multiply"
    with (
        pytest.raises(RuntimeError, match=r"(?s)'fickle' \(Fickle\) computes .* where it computed Add"),
        patched_calls(model, plan.state, Mode.FOLDED),
    ):
        model(own_layers.samples(2))


def test_simulated_outputs_lie_near_the_float_ones(own_layers, own_model):
    x = own_layers.samples()
    plain = float_outputs(own_model, x)
    state = quantized_state(own_model, lambda op: False)
    observe(own_model, state, as_samples(own_model, x))
    error = simulate(own_model, state, x) - plain
    assert np.sqrt(np.mean(error**2)) < 0.1 * plain.std()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["half", "xla"])
def test_half_precision_and_compiled_steps_are_followed(own_layers, how):
    keras.config.set_dtype_policy("mixed_bfloat16" if how == "half" else "float32")
    try:
        model = own_layers.stack(
            own_layers.Attention(name="attention"), own_layers.Block(name="block"), keras.layers.Dense(3)
        )
    finally:
        keras.config.set_dtype_policy("float32")
    x = own_layers.samples()
    model.compile("adam", "mse", jit_compile=how == "xla")
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    model.fit(x, np.zeros((len(x), 12, 3)), batch_size=8, epochs=1, verbose=0, callbacks=[compression])
    assert all(span.is_set for span in compression.plan.state.ranges)
    assert compression.convert(calibration=x, diagnose=False).is_integer


def test_settings_of_a_layer_hold_for_its_own_code(own_layers):
    model = own_layers.stack(keras.layers.Dense(16), own_layers.Linear(8, name="mine"), keras.layers.Dense(3))
    plan = make_plan(model, [tfc.Prune(0.5, overrides={"mine": 0.25}), tfc.Quantize("int8", overrides={"mine": None})])
    rows = {(r.layer, r.weight): r.text for r in plan.rows}
    assert "sparsity 0.25" in rows["mine/matmul", "kernel"]
    assert "8 bits" not in rows["mine/matmul", "kernel"]
    assert not any("mine" in span.title for span in plan.state.ranges)
