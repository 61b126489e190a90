"""Modes are values of flags; what is prepared and kept travels with the pass and the plan, not in a global."""

import threading

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.export.simulate import observe, simulate
from tfcompress.fake_quant.forward_pass import ForwardPass, Mode, PreparedWeights
from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.state import CompressionState
from tfcompress.fake_quant.treated_call import run
from tfcompress.training.plan import make_plan


def test_modes_differ_by_their_flags():
    modes = [Mode.TRAIN, Mode.TEST, Mode.OBSERVE, Mode.FOLDED, Mode.EXPORT]
    assert len(set(modes)) == 5 and [m.trains for m in modes] == [True, False, False, False, False]
    assert [m.folds for m in modes] == [False, False, False, True, True]
    assert Mode(folds=True, simulates=True) == Mode.FOLDED


def test_what_is_prepared_is_found_by_its_plan():
    one, two = OpPlan("a", keras.layers.ReLU()), OpPlan("a", keras.layers.ReLU())
    made = PreparedWeights([])
    forward = ForwardPass(Mode.FOLDED, {id(one): made})
    assert forward.prepared_for(one) is made and forward.prepared_for(two) is None


@pytest.mark.parametrize("rounds", [True, False])
def test_a_mode_of_ones_own_is_a_value(rounds):
    """Whether a softmax in the middle of a model is rounded is one flag."""
    layer = keras.layers.Softmax()
    plan = OpPlan("softmax", layer, fixed=(0.0, 1.0))
    x = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(4, 3)).astype("float32"))
    got = run(plan, layer.call, (x,), {}, ForwardPass(Mode(rounds_fixed=rounds)))
    codes = np.asarray(got) * 255
    assert bool(np.abs(codes - np.round(codes)).max() < 1e-3) is rounds


def test_features_are_kept_by_thread_and_by_state():
    layers = [keras.layers.ReLU(), keras.layers.ReLU()]
    states = [CompressionState([OpPlan("same/path", layer, captures=True)]) for layer in layers]
    found = []

    def trace(value):
        for factor, state in enumerate(states, 1):
            (plan,) = state.op_plans
            run(plan, plan.op.call, (keras.ops.ones((1,)) * value * factor,), {}, ForwardPass(Mode.TRAIN))
        found.append([float(state.features()["same/path"][0]) for state in states])

    thread = threading.Thread(target=trace, args=(3.0,))
    trace(1.0)
    thread.start()
    thread.join()
    assert found == [[1.0, 2.0], [3.0, 6.0]]
    states[0].forget_features()
    assert states[0].features() == {} and float(states[1].features()["same/path"][0]) == 2.0


def test_a_simulation_leaves_nothing_on_the_plans():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3), keras.layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    state = make_plan(model, [tfc.Quantize("int8")]).state
    observe(model, state, [{"x": x}])
    before = [dict(vars(t)) for t in state.op_plans]
    first = simulate(model, state, x)
    assert [dict(vars(t)) for t in state.op_plans] == before
    kernel = state.op_plans[0].chains["kernel"].variable
    kernel.assign(2 * kernel)
    assert np.abs(simulate(model, state, x) - first).max() > 0  # prepared anew
