"""Laws of schedules: start, end, one direction, held ends, JSON, tfmot's meaning."""

import dataclasses
import json
import math

import keras
import numpy as np
import pytest

from tfcompress import schedules

RAMPS = [
    schedules.linear,
    schedules.polynomial,
    schedules.cosine,
    schedules.exponential,
]
EVERY = [
    schedules.constant(0.8),
    schedules.linear(0.0, 0.8, begin=0.1, stop=0.7),
    schedules.polynomial(0.2, 0.8, power=2),
    schedules.polynomial(0.2, 0.8, begin=10, stop=90, unit="steps"),
    schedules.cosine(0.9, 0.1),
    schedules.exponential(0.0, 0.75, rate=-3.0),
    schedules.steps({0.2: 0.5, 0.6: 0.8}),
    schedules.steps({0: 0.1, 1: 0.2, 50: 0.8}, unit="steps"),
    schedules.Gated(schedules.linear(0.0, 0.8, 5, 45, unit="steps"), 5, 50, 10),
]


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("start, end", [(0.0, 0.8), (0.9, 0.1), (2.0, 2.0), (-3.0, 4.0)])
def test_ramp_goes_from_start_to_end_in_one_direction(ramp, start, end):
    schedule = ramp(start, end, begin=0.2, stop=0.7)
    values = [schedule(progress) for progress in np.linspace(0, 1, 101)]
    assert values[0] == start and schedule(0.2) == start
    assert values[-1] == end and schedule(0.7) == end
    moves = np.diff(values) * np.sign(end - start)
    assert np.all(moves >= 0)
    assert np.count_nonzero(moves) == (50 if start != end else 0)


@pytest.mark.parametrize("ramp", RAMPS)
def test_fractions_and_steps_count_the_same(ramp):
    fractions = ramp(0.1, 0.9, begin=0.25, stop=0.75)
    steps = ramp(0.1, 0.9, begin=50, stop=150, unit="steps")
    for step in range(0, 401):
        assert fractions.value(step, total=200) == pytest.approx(steps.value(step), abs=1e-12)


def test_shapes_follow_their_formulas():
    for way in (0.1, 0.4, 0.9):
        assert schedules.linear(0, 1)(way) == pytest.approx(way)
        assert schedules.polynomial(0, 1)(way) == pytest.approx(1 - (1 - way) ** 3)
        assert schedules.cosine(0, 1)(way) == pytest.approx((1 - math.cos(math.pi * way)) / 2)
        expected = 1 - (math.exp(-2 * way) - math.exp(-2)) / (1 - math.exp(-2))
        assert schedules.exponential(0, 1, rate=2)(way) == pytest.approx(expected)


def test_exponential_takes_the_same_fraction_of_the_rest():
    schedule = schedules.exponential(0.2, 0.9, rate=math.log(0.8 / 0.1))
    left = np.array([1 - schedule(progress) for progress in np.linspace(0, 1, 11)])
    assert np.allclose(left[1:] / left[:-1], (0.1 / 0.8) ** 0.1)


@pytest.mark.parametrize("begin, stop", [(0.5, 0.5), (0.0, 0.0), (1.0, 1.0)])
def test_empty_way_is_a_jump(begin, stop):
    schedule = schedules.linear(0.0, 0.8, begin=begin, stop=stop)
    assert schedule(stop) == 0.8
    assert begin == 0 or schedule(begin - 0.01) == 0.0


def test_steps_hold_until_the_next_one():
    schedule = schedules.steps({0.6: 0.8, 0.2: 0.5})
    assert [schedule(p) for p in (0, 0.19, 0.2, 0.59, 0.6, 1)] == [0, 0, 0.5, 0.5, 0.8, 0.8]
    counted = schedules.steps({0: 0.1, 3: 0.4}, unit="steps")
    assert [counted.value(s) for s in range(5)] == [0.1, 0.1, 0.1, 0.4, 0.4]


def test_progress_goes_before_step_and_total():
    schedule = schedules.linear(0.0, 1.0)
    assert schedule.value(step=7, total=None, progress=0.5) == 0.5
    assert schedule.value(step=7, total=70, progress=0.5) == 0.5
    assert schedules.constant(0.3).value(step=7) == 0.3


@pytest.mark.parametrize("schedule", EVERY, ids=repr)
def test_bounds_hold_and_are_reached(schedule):
    values = [schedule.value(step, total=200) for step in range(0, 300)]
    low, high = schedule.bounds
    assert min(values) == pytest.approx(low)
    assert max(values) == pytest.approx(high)
    assert low <= min(values) and max(values) <= high
    assert schedule.final == values[-1]


@pytest.mark.parametrize("schedule", EVERY, ids=repr)
def test_json_round_trip(schedule):
    text = json.dumps(keras.saving.serialize_keras_object(schedule))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again == schedule
    assert type(again) is type(schedule)


@pytest.mark.parametrize("schedule", EVERY, ids=repr)
def test_schedules_are_frozen_and_hashable(schedule):
    assert hash(schedule) == hash(dataclasses.replace(schedule))
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.unit = "hours"


def test_schedule_takes_numbers_and_schedules():
    ramp = schedules.linear(0, 1)
    assert schedules.schedule(ramp) is ramp
    for number in (0.5, np.float32(0.5), np.float64(0.5)):
        assert schedules.schedule(number) == schedules.constant(0.5)
    assert schedules.schedule(np.int64(2)) == schedules.constant(2)


@pytest.mark.parametrize("value", [None, "0.8", [0.8], True, lambda step: 0.8, dict])
def test_schedule_refuses_the_rest(value):
    with pytest.raises(TypeError, match="must be a number, one of tfcompress.schedules"):
        schedules.schedule(value)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: schedules.linear(0, 1, stop=500), r'stop=500\. To count in steps, pass unit="st'),
        (lambda: schedules.linear(0, 1, begin=-0.1), r"begin must be a fraction .* begin=-0\.1"),
        (lambda: schedules.linear(0, 1, 0.5, 2.5, unit="steps"), r"begin must be a whole step"),
        (lambda: schedules.linear(0, 1, 0.6, 0.4), r"begin must not be after stop.*begin=0\.6"),
        (lambda: schedules.linear(0, 1, unit="epochs"), r"unit must be one of .*'epochs'"),
        (lambda: schedules.linear(0, math.nan), r"end must be finite"),
        (lambda: schedules.constant(math.inf), r"level must be finite"),
        (lambda: schedules.polynomial(0, 1, power=0), r"power must be > 0"),
        (lambda: schedules.exponential(0, 1, rate=0), r"rate must not be 0"),
        (lambda: schedules.exponential(0, 1, rate=1e6), r"at most 700"),
        (lambda: schedules.steps({}), r"at least one position"),
        (lambda: schedules.steps({2: 0.1}), r"position must be a fraction"),
        (lambda: schedules.steps([(0.5, 0.1), (0.5, 0.2)]), r"position may come once"),
        (lambda: schedules.Gated(schedules.linear(0, 1)), r'inner must have unit="steps"'),
        (lambda: schedules.Gated(schedules.constant(1), 5, 4), r"begin <= end"),
        (lambda: schedules.linear(0, 1)(-0.5), r"progress must be >= 0"),
        (lambda: schedules.linear(0, 1).value(-1, 10), r"step must be >= 0"),
        (lambda: schedules.linear(0, 1).value(3), r"needs its length.*total=None"),
        (
            lambda: schedules.linear(0, 1, 0, 5, unit="steps")(0.5),
            r"counts in steps.*value\(step\)",
        ),
    ],
)
def test_bad_values_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.constant("0.8"),
        lambda: schedules.linear(None, 1),
        lambda: schedules.linear(0, True),
        lambda: schedules.Gated(0.8),
    ],
)
def test_bad_types_are_named(make):
    with pytest.raises(TypeError, match="Received"):
        make()


class EveryThird:
    """A pruning schedule with tfmot's protocol and fields of its own."""

    def __init__(self):
        self.asked = []

    def __call__(self, step):
        self.asked.append(step)
        return step >= 4 and step % 3 == 0 and step < 20, np.float32(min(0.1 * step, 0.8))

    def get_config(self):
        return {"class_name": "EveryThird", "config": {}}


def test_foreign_schedule_holds_its_last_pruning_step():
    schedule = schedules.schedule(EveryThird())
    expected = {0: 0.0, 5: 0.0, 6: 0.6, 7: 0.6, 8: 0.6, 9: 0.8, 100: 0.8}
    assert {step: schedule.value(step) for step in expected} == expected
    assert [step for step in range(30) if schedule.due(step)] == [6, 9, 12, 15, 18]
    assert {step: schedule.value(step) for step in reversed(expected)} == expected
    assert schedule.bounds is None and schedule.final is None
    with pytest.raises(ValueError, match="EveryThird: .* can't be written to JSON"):
        schedule.get_config()


def test_foreign_schedule_is_asked_once_per_step():
    source = EveryThird()
    schedule = schedules.from_tfmot(source)
    source.asked.clear()
    assert [schedule.value(step) for step in range(300)][20:] == [0.8] * 280
    assert source.asked == list(range(300))


def test_foreign_schedule_must_answer_pairs_below_one():
    class Wrong(EveryThird):
        def __call__(self, step):
            return True, 80.0

    with pytest.raises(ValueError, match=r"Wrong: sparsity must be in \[0, 1\)\. Received: 80"):
        schedules.from_tfmot(Wrong())
    learning_rate = keras.optimizers.schedules.CosineDecay(0.1, 100)
    with pytest.raises(TypeError, match="CosineDecay: a pruning schedule returns"):
        schedules.schedule(learning_rate)
    with pytest.raises(TypeError, match="from_tfmot"):
        schedules.from_tfmot(0.8)
