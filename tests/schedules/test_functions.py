"""Functions as schedules: of progress, or of step and total; by name in JSON; told early when they can't be one."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.schedules import FunctionSchedule, schedule


@keras.saving.register_keras_serializable("test_functions")
def ramp(progress):
    return 0.6 * progress


@keras.saving.register_keras_serializable("test_functions")
def stairs(step, total):
    return 0.5 if 2 * step >= total else 0.25


def test_by_its_signature_a_function_counts_progress_or_steps():
    assert schedule(ramp) == FunctionSchedule(ramp) and schedule(ramp).unit == "fraction"
    assert schedule(ramp).bounds == (0.0, 0.6) and schedule(ramp).final == 0.6
    assert [schedule(ramp).value(k, 10) for k in (0, 5, 10, 20)] == [0.0, 0.3, 0.6, 0.6]
    assert schedule(stairs).unit == "steps" and schedule(stairs).bounds is None
    assert [schedule(stairs).value(k, 10) for k in (0, 4, 5, 10, 20)] == [0.25, 0.25, 0.5, 0.5, 0.5]
    assert schedule(lambda x, scale=0.5: x * scale).unit == "steps"  # two that can be given by place
    assert schedule(lambda progress, *, scale=0.5: scale).value(1, 2) == 0.5

    assert schedule(lambda progress: keras.ops.minimum(progress, 0.5)).bounds == (0.0, 0.5)

    class Callable:
        def __call__(self, progress):
            return 0.5

    assert schedule(Callable())(0.1) == 0.5


@pytest.mark.parametrize(
    "function",
    [lambda: 0.5, lambda a, b, c: 0.5, lambda *args: 0.5, lambda progress, *, scale: scale, lambda epoch: 0.5, max],
)
def test_other_signatures_are_refused_when_the_technique_is_made(function):
    with pytest.raises(TypeError, match=r"a function progress -> value or \(step, total\) -> value"):
        tfc.Prune(function)


def test_values_that_are_no_sparsity_are_refused(points_model):
    with pytest.raises(ValueError, match=r"must stay in \[0, 1\)"):
        tfc.Prune(lambda progress: 80 * progress)
    with pytest.raises(ValueError, match="must be finite"):
        tfc.Prune(lambda progress: np.nan)
    compression = tfc.Compression(tfc.Prune(lambda step, total: 80.0), verbose=0)
    compression.set_model(points_model())
    with pytest.raises(ValueError, match=r"must stay in \[0, 1\)\. Received: 80\.0"):
        compression.finish()


@pytest.fixture
def points_model():
    def make():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(2)])
        model.compile("sgd", "mse", jit_compile=False)
        return model

    return make


@pytest.mark.parametrize("function, zeros", [(ramp, 0.6), (stairs, 0.5), (lambda step, total: 0.5 * step / total, 0.5)])
def test_a_training_follows_it(points_model, function, zeros):
    model, x = points_model(), np.ones((32, 8), "float32")
    model.fit(x, x[:, :2], epochs=2, verbose=0, callbacks=[tfc.Compression(tfc.Prune(function), verbose=0)])
    kernel = model.layers[0].kernel.numpy()
    assert int((kernel == 0).sum()) == round(zeros * kernel.size)


def test_channels_follow_it_in_a_session(points_model):
    session = tfc.compress(points_model(), tfc.PruneChannels(schedule=lambda p: p / 2, round_to=1), verbose=0)
    assert session.finish().layers[1].units == 8


def test_a_registered_function_goes_to_json_and_back():
    recipe = tfc.Recipe([tfc.Prune(ramp, overrides={"a": stairs}), tfc.PruneChannels(schedule=ramp)])
    assert tfc.Recipe.from_json(recipe.to_json()) == recipe
    with pytest.raises(ValueError, match="no function is registered under the name 'test_functions>rump'"):
        tfc.Recipe.from_json(recipe.to_json().replace(">ramp", ">rump"))


def test_another_function_is_told_when_the_recipe_is_written_and_trains(points_model, tmp_path):
    recipe = tfc.Recipe(tfc.Prune(lambda progress: progress / 2))
    with pytest.raises(ValueError, match=r"<lambda>: a schedule that is a function .*register_keras_serializable"):
        recipe.to_json()
    model, x = points_model(), np.random.default_rng(0).normal(size=(32, 8)).astype("float32")
    compression = tfc.Compression(recipe, verbose=0)
    model.fit(x, x[:, :2], epochs=1, verbose=0, callbacks=[compression])
    assert "FunctionSchedule" in compression.convert(calibration=x).metadata["recipe"][0]
    with pytest.raises(ValueError, match="registered name"):
        compression.save(tmp_path / "compression.tfc")


def test_a_function_of_steps_needs_a_known_length():
    with pytest.raises(ValueError, match="needs the number of steps of the training, which is unknown here"):
        schedule(stairs).value(3)
    assert schedule(stairs).value(0, None, 1.0) == 0.5  # the end is known
    with pytest.raises(ValueError, match="needs both"):
        schedule(stairs).at(3)
