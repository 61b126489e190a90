"""Schedules made by the real tfmot: equal to tfmot's own update rule at every step."""

import json

import keras
import pytest

from tfcompress import schedules

pytestmark = pytest.mark.legacy


@pytest.fixture(scope="module")
def pruning():
    tfmot = pytest.importorskip("tensorflow_model_optimization")
    return tfmot.sparsity.keras


def replay(source, steps):
    """What tfmot's wrapper holds after each step: the sparsity of its last mask update."""
    held, values, looks = 0.0, [], []
    for step in range(steps):
        should, sparsity = source(step)
        if bool(should):
            held = float(sparsity)
            looks.append(step)
        values.append(held)
    return values, looks


def sources(pruning):
    class Slower(pruning.PolynomialDecay):
        """Prunes only at every other of its turns."""

        def __call__(self, step):
            should, sparsity = super().__call__(step)
            return bool(should) and (step - self.begin_step) % (2 * self.frequency) == 0, sparsity

    return [
        pruning.ConstantSparsity(0.5, begin_step=0, frequency=7),
        pruning.ConstantSparsity(0.5, begin_step=13, end_step=40, frequency=10),
        pruning.PolynomialDecay(0.0, 0.8, begin_step=5, end_step=60, frequency=10),
        pruning.PolynomialDecay(0.3, 0.9, begin_step=10, end_step=55, power=1, frequency=1),
        Slower(0.1, 0.8, begin_step=3, end_step=70, frequency=5),
    ]


@pytest.mark.parametrize("which", range(5))
def test_every_step_equals_tfmot(pruning, which):
    source = sources(pruning)[which]
    schedule = schedules.schedule(source)
    values, looks = replay(source, 100)
    assert [schedule.value(step) for step in range(100)] == pytest.approx(values, abs=2e-7)
    assert [schedule.value(step) for step in (99, 0, 57)] == pytest.approx(
        [values[99], values[0], values[57]], abs=2e-7
    )
    assert [step for step in range(100) if schedule.due(step)] == looks
    assert schedule.final == pytest.approx(values[-1], abs=2e-7)
    assert len(set(values)) >= 2 or values[0] == 0.5


@pytest.mark.parametrize("which", range(4))
def test_tfmots_own_classes_go_to_json(pruning, which):
    schedule = schedules.schedule(sources(pruning)[which])
    text = json.dumps(keras.saving.serialize_keras_object(schedule))
    assert keras.saving.deserialize_keras_object(json.loads(text)) == schedule


def test_a_subclass_is_called_and_can_not_go_to_json(pruning):
    schedule = schedules.schedule(sources(pruning)[4])
    assert isinstance(schedule, schedules.Called)
    with pytest.raises(ValueError, match="Slower"):
        schedule.get_config()
