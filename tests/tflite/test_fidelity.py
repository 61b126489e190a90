"""How far the answers of a file are from those of the model: the figures against NumPy, the sentence, requirements."""

import json

import numpy as np
import pytest

from tfcompress.tflite.fidelity import (
    CLASSES,
    PROBABILITIES,
    THRESHOLD,
    VALUES,
    Fidelity,
    check_requirement,
    compare_output,
)


def compared(got, wanted, kind=VALUES, **options):
    return compare_output("y", np.asarray(got, np.float32), np.asarray(wanted, np.float32), kind, **options)


@pytest.fixture
def values(rng):
    return (rng.normal(size=(300, 7, 3)) * [1.0, 50.0, 0.1] + [0.0, 1000.0, 5.0]).astype("float32")


def test_an_error_is_measured_against_the_spread_and_not_the_size(values, rng):
    noise = rng.normal(size=values.shape).astype("float32")
    row = compared(values + noise, values)
    gaps = (values + noise).astype("float64") - values
    spread = np.sqrt(np.mean(values.reshape(-1, 3).astype("float64").var(axis=0)))
    assert row.error == pytest.approx(np.sqrt(np.mean(gaps**2)) / spread, rel=1e-6)
    assert row.largest_error == pytest.approx(np.abs(gaps).max(), rel=1e-6)
    assert row.worst_channel == 2 and row.channel_error == pytest.approx(10.0, rel=0.1)


def test_a_constant_answer_has_an_error_of_one(values):
    mean = np.broadcast_to(values.mean(axis=(0, 1)), values.shape)
    row = compared(mean, values)
    assert row.error == pytest.approx(1.0, rel=1e-4) and row.channel_error == pytest.approx(1.0, rel=1e-4)
    assert row.channel_codes == 1 and row.has_lost_channel and row.is_lost


def test_equal_answers_have_no_error(values):
    row = compared(values, values)
    assert (row.error, row.largest_error, row.channel_error) == (0.0, 0.0, 0.0) and not row.is_lost


def test_an_output_that_never_varies_is_measured_by_its_size():
    assert compared(np.full((4, 2), 3.3), np.full((4, 2), 3.0)).error == pytest.approx(0.1, rel=1e-3)
    assert compared(np.zeros((4, 2)), np.zeros((4, 2))).error == 0.0


def test_classes_are_taken_position_by_position(rng):
    wanted = rng.normal(size=(5, 4, 4, 6)).astype("float32")
    got = wanted.copy()
    got[0, :2] = -got[0, :2]  # eight positions
    row = compared(got, wanted, CLASSES)
    expected = np.mean(got.argmax(-1) == wanted.argmax(-1))
    assert row.positions == 80 and row.agreement == pytest.approx(expected) and row.same == round(80 * expected)
    assert compared(got, wanted, VALUES).agreement is None


def test_one_probability_agrees_on_its_side_of_a_half():
    row = compared([[0.1], [0.6], [0.45], [0.9]], [[0.4], [0.9], [0.55], [0.8]], THRESHOLD)
    assert (row.same, row.positions) == (3, 4)
    sentence = Fidelity((row,)).sentence()
    assert sentence.startswith("same side of 0.5 as the float model on 3 of 4 samples")


def test_integers_agree_where_they_are_equal():
    row = compare_output("y", np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 5]]), VALUES)
    assert row.agreement == 0.75 and row.error is None


def test_codes_in_use_and_saturation():
    wanted = np.array([[0.0], [10.0], [25.5], [40.0]], "float32")
    got = np.array([[0.0], [10.0], [25.5], [25.5]], "float32")  # codes of 0.1, 0..255
    row = compare_output("y", got, wanted, VALUES, scale=0.1, limits=(0.0, 25.5))
    assert row.codes == pytest.approx(3 / 256) and row.saturated == 0.25


def test_probabilities_far_from_a_decision_may_be_coarse(rng):
    wanted = np.full((50, 100), 1e-4, "float32")
    wanted[np.arange(50), np.arange(50) % 2] = 0.99 + rng.random(50) * 1e-3
    wanted[:, 5] += rng.random(50) * 1e-4
    got = np.round(wanted * 256) / 256
    row = compared(got, wanted, PROBABILITIES)
    assert row.agreement == 1.0 and row.channel_error > 0.25 and not row.is_lost


def test_one_sample_of_few_is_no_reason_to_warn(rng):
    wanted = rng.normal(size=(20, 2)).astype("float32")
    got = wanted.copy()
    close = np.abs(wanted[:, 0] - wanted[:, 1]).argmin()
    got[close] = got[close][::-1]
    row = compared(got, wanted, CLASSES)
    assert row.same == 19 and row.error < 0.1 and not row.is_lost


def test_the_sentence_is_about_the_worst_output():
    good = compared([[1.0], [2.0]], [[1.0], [2.0]])
    bad = compare_output("z", np.array([[1.0], [2.0]]), np.array([[1.5], [2.5]]), VALUES)
    assert Fidelity((good, bad), 3.94).sentence() == "3.9x smaller; error 1e+02 % of the spread of output 'z'"


def test_facts_go_through_json(values):
    found = Fidelity((compared(values, values),), 2.0, {"layer": "d"}, ({"what": "x"},))
    assert Fidelity.of(json.loads(json.dumps(found.facts()))) == found


def test_a_requirement_names_what_is_missed():
    row = compared([[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]], CLASSES)
    found = Fidelity((row,))
    (agreement, error) = found.missed({"agreement": 0.9, "error": 0.05})
    assert "agreement 0.5, required is at least 0.9" in agreement and "'y'" in agreement and "at most 0.05" in error
    assert found.missed({"agreement": 0.5}) == []


@pytest.mark.parametrize("require", [{"accuracy": 0.9}, {"agreement": 2}, {"error": float("nan")}, {"error": "small"}])
def test_requirements_that_can_not_be_checked_are_refused(require):
    with pytest.raises(ValueError, match="require takes fractions for agreement, error"):
        check_requirement(require)
    with pytest.raises(TypeError, match="must be a dict such as"):
        check_requirement([require])


def test_a_slice_along_another_axis_that_is_all_but_gone(rng):
    wanted = rng.random((40, 6, 30)).astype("float32")
    wanted[:, :4] *= 300.0  # boxes before scores, anchors behind
    got = np.round(wanted / 1.3) * 1.3
    row = compared(got, wanted)
    assert row.worst_axis == 1 and row.worst_channel in (4, 5) and row.channel_codes <= 2 and row.is_lost
    assert compared(wanted, wanted).worst_axis == -1


def test_decisions_that_are_all_the_same_prove_nothing(rng):
    wanted = (0.0003 + rng.random((200, 1)) * 1e-4).astype("float32")
    row = compared(np.zeros_like(wanted), wanted, THRESHOLD)
    assert row.agreement == 1.0 and row.decisions == 1 and row.is_lost
    wanted[::2] += 0.9
    row = compared(np.where(wanted > 0.5, 1.0, 0.0), wanted, THRESHOLD)
    assert row.decisions == 2 and not row.is_lost


def test_what_can_not_be_measured_is_no_met_requirement():
    (told,) = Fidelity((compared([[1.0], [2.0]], [[1.0], [2.0]]),)).missed({"agreement": 0.9})
    assert "no output has classes" in told
