"""The clock: progress never falls nor passes 1, and survives saving; updates come as asked."""

import pytest

from tfcompress.fake_quant.state import CompressionState
from tfcompress.training.clock import Clock


def run(clock, epochs, per_epoch, given=None, first=0, at_once=1):
    """Runs epochs of `per_epoch` steps; `given` is what Keras says of their number."""
    seen = []
    clock.start(epochs, given)
    for epoch in range(first, epochs):
        clock.begin_epoch(epoch)
        for _ in range(0, per_epoch, at_once):
            seen.append(clock.moment().progress)
            clock.ran(at_once)
        clock.end_epoch()
    return seen


def test_known_length():
    clock = Clock(CompressionState())
    assert run(clock, 4, 5, 5) == [k / 20 for k in range(20)]
    assert clock.is_over and (clock.step, clock.total) == (20, 20)


def test_unknown_length_is_learned_from_the_first_epoch():
    clock = Clock(CompressionState())
    assert run(clock, 4, 5) == [0.0] * 5 + [k / 20 for k in range(5, 20)]
    assert clock.is_over and clock.total == 20


def test_calls_of_several_steps_count_no_step_twice():
    clock = Clock(CompressionState())
    run(clock, 2, 8, 8, at_once=3)
    assert clock.step == 16 and clock.is_over


@pytest.mark.parametrize("given", [5, None])
def test_a_longer_last_epoch_or_a_second_training_stays_at_the_end(given):
    clock = Clock(CompressionState())
    run(clock, 2, 5, given)
    assert set(run(clock, 3, 5, given)) == {1.0}
    assert clock.total == 10 and clock.step == 25


def test_the_count_goes_through_the_state():
    state = CompressionState()
    clock = Clock(state)
    run(clock, 2, 5, 5)
    other = Clock(state)
    assert (other.step, other.total, other.progress) == (10, 10, 1.0)


def test_a_training_that_was_cut_off_keeps_its_length():
    state = CompressionState()
    clock = Clock(state)
    clock.start(4, 5)
    clock.begin_epoch(0)
    for _ in range(5):
        clock.ran(1)
    clock.end_epoch()
    clock = Clock(state)
    assert run(clock, 4, 5, 5, first=1) == [k / 20 for k in range(5, 20)]


def test_initial_epoch_of_a_fresh_training_counts_the_epochs_that_are_left():
    clock = Clock(CompressionState())
    assert run(clock, 4, 5, 5, first=2) == [k / 10 for k in range(10)]


@pytest.mark.parametrize(("every", "at_once"), [(1, 1), (4, 1), (4, 3), (10, 3), (None, 1)])
def test_updates_come_once_in_every_so_many_steps(every, at_once):
    clock = Clock(CompressionState())
    clock.start(1, 400)
    clock.begin_epoch(0)
    due = []
    for _ in range(0, 400, at_once):
        if clock.is_due(every):
            due.append(clock.step)
        clock.ran(at_once)
    every = every or 4  # a hundredth of the training
    assert due[0] == 0
    # one update in every stretch of that length, at the first call in it
    stretches = [step // every for step in due]
    assert stretches == sorted(set(k // every for k in range(0, 400, at_once)))


def test_finish_ends_it_early():
    clock = Clock(CompressionState())
    clock.start(2, 5)
    clock.begin_epoch(0)
    clock.ran(1)
    clock.finish()
    assert clock.is_over and float(clock.state.progress) == 1.0 and clock.moment().step == 1
