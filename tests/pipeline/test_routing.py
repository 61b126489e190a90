"""Who leaves early, and what answers then."""

import numpy as np
import pytest

from tfcompress.pipeline.routing import (
    LOGITS,
    PROBABILITIES,
    Run,
    Stage,
    checked_thresholds,
    classes,
    confidence,
    lowest_threshold,
    run_stages,
)


def real(name, value):
    return value


def two_stages(seen):
    """The first is sure of what is far from zero and gives twice its input; the second answers thrice that."""

    def first(values):
        x = values["x"]
        return {"twice": 2 * x, "early": np.stack([x, -x], axis=1)}

    def second(values):
        seen.extend(values["twice"].tolist())
        return {"end": np.stack([3 * values["twice"], 0 * values["twice"]], axis=1)}

    return [Stage(first, ("x",), 10, "early"), Stage(second, ("twice",), 90)]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_only_unsure_samples_go_on_and_all_keep_their_place(batch_size):
    x, seen = np.array([0.1, 5.0, -0.2, -5.0, 0.0, 4.0, 0.3]), []
    found = run_stages(two_stages(seen), {"x": x}, ["end"], real, [0.9], LOGITS, batch_size)
    sure = np.abs(x) > 3
    expected = np.where(sure[:, None], np.stack([x, -x], 1), np.stack([6 * x, 0 * x], 1))
    np.testing.assert_array_equal(found.outputs["end"], expected)
    np.testing.assert_array_equal(seen, 2 * x[~sure])
    np.testing.assert_array_equal(found.parts_run, np.where(sure, 1, 2))
    assert found.share_early == pytest.approx(3 / 7) and found.mean_macs == pytest.approx((3 * 10 + 4 * 100) / 7)


@pytest.mark.parametrize("threshold, share", [(1.0, 0.0), (0.0, 1.0)])
def test_the_ends_of_the_threshold(threshold, share):
    x = np.linspace(-50, 50, 21)
    found = run_stages(two_stages([]), {"x": x}, ["end"], real, [threshold], LOGITS)
    assert found.share_early == share
    assert found.outputs["end"].shape == (21, 2)


def test_unknown_macs_are_not_guessed():
    run = Run({}, np.array([1, 2]), (None, 5))
    assert run.mean_macs is None and "MACs" not in run.text()


def test_confidence_is_the_largest_probability():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 5, (30, 4))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(confidence(logits, LOGITS), p.max(axis=1), rtol=1e-12)
    np.testing.assert_allclose(confidence(p, PROBABILITIES), p.max(axis=1))
    assert confidence(np.array([[1.0000002, 0.0]]), PROBABILITIES)[0] == 1.0
    one = logits[:, :1]
    two = np.concatenate([np.zeros_like(one), one], axis=1)
    np.testing.assert_allclose(confidence(one, LOGITS), confidence(two, LOGITS), rtol=1e-12)
    np.testing.assert_array_equal(classes(one, LOGITS), classes(two, LOGITS))


@pytest.mark.parametrize("wanted", [0.0, 0.8, 0.95, 1.0])
def test_the_lowest_threshold_keeps_the_agreement_and_a_lower_one_does_not(wanted):
    rng = np.random.default_rng(1)
    final = rng.normal(0, 3, (400, 5))
    exits = [final + rng.normal(0, noise, final.shape) for noise in (4, 1)]

    def agreement(threshold):
        answer = final
        for e in reversed(exits):
            answer = np.where((confidence(e, LOGITS) > threshold)[:, None], e, answer)
        return np.mean(classes(answer, LOGITS) == classes(final, LOGITS))

    found = lowest_threshold(exits, final, LOGITS, wanted)
    assert agreement(found) >= wanted
    tried = np.sort(np.concatenate([confidence(e, LOGITS) for e in exits]))
    lower = tried[: np.searchsorted(tried, found)][:-1]
    assert all(agreement(t) < wanted for t in (0.0, *lower) if t < found)
    assert found == 0.0 or found not in tried


def test_bad_settings_name_the_way_out():
    with pytest.raises(ValueError, match="Did you mean 0.99"):
        lowest_threshold([np.zeros((2, 2))], np.zeros((2, 2)), LOGITS, 99)
    assert checked_thresholds(0.5, 2) == (0.5, 0.5) and checked_thresholds([0.1, 1], 2) == (0.1, 1.0)
    assert checked_thresholds((), 0) == ()
    for bad, count in ((1.5, 1), ([0.5], 2), (0.5, 0)):
        with pytest.raises(ValueError, match="threshold must be a probability"):
            checked_thresholds(bad, count)
