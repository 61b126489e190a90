"""Cluster: at most k values (and a zero) per kernel or channel, found once, trained together."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.transforms.centroids import Centroids
from tfcompress.techniques.cluster import STARTS

pytestmark = pytest.mark.sampled(2)

STARTING = sorted(STARTS)


def kernels(model):
    """Kernels of the net."""
    return [layer.kernel.numpy() for layer in model.layers]


def values(w):
    """Distinct values that are not zero."""
    return np.unique(w[w != 0])


@pytest.mark.parametrize("start", STARTING)
@pytest.mark.parametrize("k", [2, 8])
def test_each_kernel_has_at_most_k_values(start, k, fitted):
    model, compression = fitted(tfc.Cluster(k, start=start))
    for w in kernels(model):
        assert 1 < values(w).size <= k
    before = kernels(model)
    compression.finish()
    for a, b in zip(before, kernels(model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert compression.notes == []


@pytest.mark.parametrize("start", STARTING)
def test_each_channel_has_values_of_its_own(start, fitted):
    model, _ = fitted(tfc.Cluster(2, start=start, per_channel=True))
    hidden, head = kernels(model)
    for w in (hidden, head):
        assert max(values(w[:, c]).size for c in range(w.shape[1])) == 2
    assert values(hidden).size > 2 * 10


@pytest.mark.parametrize("keep", [True, False])
def test_zeros_are_kept_when_asked(keep, fitted, net):
    model = net()
    w = model.layers[0].kernel.numpy()
    off = np.random.default_rng(0).random(w.shape) < 0.4
    model.layers[0].kernel.assign(np.where(off, 0.0, w))
    fitted(tfc.Cluster(4, keep_zeros=keep, begin=0.0), model)
    after = kernels(model)[0]
    assert values(after).size <= 4
    if keep:
        assert ((after == 0) == off).all()
    else:
        assert (after[off] != 0).any()


def test_values_are_where_each_start_puts_them():
    w, rng = np.linspace(-1, 3, 401), np.random.default_rng(0)
    np.testing.assert_allclose(STARTS["linear"](w, 5, rng), [-1, 0, 1, 2, 3])
    np.testing.assert_allclose(STARTS["density"](w, 4, rng), [-0.5, 0.5, 1.5, 2.5], atol=0.01)
    skewed = np.concatenate([np.zeros(300), np.arange(1, 5)])
    assert (STARTS["density"](skewed, 4, rng) == 0).all()
    drawn = STARTS["kmeans++"](skewed, 5, rng)
    assert sorted(drawn) == [0, 1, 2, 3, 4]  # what is there already has no chance to be drawn again
    assert (STARTS["kmeans++"](np.ones(9), 3, rng) == 1).all()


@pytest.mark.parametrize("start", STARTING)
def test_the_first_assignment_is_to_the_nearest_mean(start, net, driven):
    model = net()
    w = kernels(model)[0]
    run = driven(tfc.Cluster(4, start=start, begin=0.2), model)
    run.at(19)
    shared = run.kernels[0].chain.find(Centroids)
    assert float(shared.active) == 0
    np.testing.assert_array_equal(run.kernels[0].chain.value(), w)
    run.at(20)
    assert float(shared.active) == 1
    got = np.asarray(run.kernels[0].chain.value())
    means = values(got)
    nearest = means[np.abs(w[..., None] - means).argmin(-1)]
    assert (np.abs(got - nearest) < 1e-6).mean() > 0.95  # k-means after 20 rounds
    for mean in means:
        np.testing.assert_allclose(w[got == mean].mean(), mean, rtol=1e-4, atol=1e-6)


def test_who_shares_is_settled_once_and_values_train_on(net, driven):
    model = net()
    run = driven(tfc.Cluster(4, begin=0.2), model)
    run.at(20)
    shared = run.kernels[0].chain.find(Centroids)
    index, old = np.array(shared.index), np.asarray(run.kernels[0].chain.value())
    moves = np.random.default_rng(0).normal(0, 0.3, old.shape).astype("float32")
    run.kernels[0].chain.variable.assign_add(moves)
    run.at(60)
    np.testing.assert_array_equal(shared.index, index)
    new = np.asarray(run.kernels[0].chain.value())
    for value in values(old):
        members = old == value
        np.testing.assert_allclose(new[members], value + moves[members].mean(), atol=1e-5)


def test_the_training_moves_the_values(fitted):
    class Off(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.seen = getattr(self, "seen", []) + [kernels(self.model)[0]]

    off = Off()
    fitted(tfc.Cluster(4, begin=0.0), epochs=3, callbacks=[off])
    first, last = off.seen[0], off.seen[2]
    assert values(first).size <= 4 and not np.isin(values(first), values(last)).any()
    for value in values(first):  # together
        assert np.unique(last[first == value]).size == 1


def test_weights_follow_their_masks(net):
    from tfcompress.techniques.base import Memory, Moment
    from tfcompress.training.plan import make_plan

    prune = tfc.Prune(tfc.schedules.linear(0.2, 0.6))
    cluster = tfc.Cluster(5, begin=0.3)
    model = net()
    plan = make_plan(model, [cluster, prune])
    memories = {t.name: Memory(model) for t in (prune, cluster)}
    rng = np.random.default_rng(0)
    for step in (0, 30, 50, 70, 90, 100):
        moment = Moment(step, 100, step / 100, step == 100)
        for t in (prune, cluster):
            t.advance(moment, plan.kernels[t.name], memories[t.name])
        for kernel in plan.kernels["Cluster"]:
            value = np.asarray(kernel.chain.value())
            assert step < 30 or values(value).size <= 5
            counts = np.bincount(np.asarray(kernel.chain.find(Centroids).index).reshape(-1), minlength=6)
            np.testing.assert_array_equal(kernel.chain.find(Centroids).counts, counts) if step >= 30 else None
            if step < 100:
                noise = rng.normal(0, 0.05, value.shape)
                kernel.chain.variable.assign_add(noise)
        if step == 70:
            plan.state.bake()
    plan.state.bake()
    for w in kernels(model):
        assert int((w == 0).sum()) == round(0.6 * w.size) and values(w).size <= 5
    once = kernels(model)
    plan.state.bake()
    for a, b in zip(once, kernels(model), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("begin", [0.0, 0.9, 1.0])
def test_weights_put_back_from_before_sharing_are_shared_in_the_end(begin, fitted):
    back = keras.callbacks.EarlyStopping(
        monitor="loss", mode="max", patience=10, restore_best_weights=True
    )  # the highest loss: the first epoch
    model, compression = fitted(tfc.Cluster(6, begin=begin), epochs=3, callbacks=[back])
    compression.finish()
    for w in kernels(model):
        assert values(w).size <= 6


def test_a_model_that_is_clustered_already_keeps_its_values(net, fitted):
    model, _ = fitted(tfc.Cluster(4))
    before = kernels(model)
    run_again = net(rate=0.0)
    run_again.set_weights(model.get_weights())
    fitted(tfc.Cluster(4, begin=0.0), run_again)
    for a, b in zip(before, kernels(run_again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_kernels_of_few_weights_and_of_one_value(net, driven):
    model = net()
    model.layers[0].kernel.assign(np.full((7, 13), 0.25))
    run = driven(tfc.Cluster(200), model)
    run.at(90)
    run.finish()
    hidden, head = kernels(model)
    assert (hidden == 0.25).all() and values(head).size <= 39


def test_where_and_overrides(fitted):
    model, _ = fitted(tfc.Cluster(4, overrides={"head": None}))
    assert values(kernels(model)[0]).size <= 4 and values(kernels(model)[1]).size > 16
    model, _ = fitted(tfc.Cluster(4, where="hidden|head", overrides={"Dense": 16, "head": 3}))
    assert 4 < values(kernels(model)[0]).size <= 16 and values(kernels(model)[1]).size <= 3


def test_the_seed_of_kmeans_plus_plus_is_repeatable(net, driven):
    def shared(seed):
        run = driven(tfc.Cluster(4, seed=seed), net())
        run.at(90)
        return np.asarray(run.kernels[0].chain.find(Centroids).index)

    np.testing.assert_array_equal(shared(0), shared(0))
    assert any((shared(0) != shared(s)).any() for s in (1, 2, 3))


@pytest.mark.parametrize(
    "arguments, kind, message",
    [
        ({"clusters": 1}, ValueError, "integer in 2..256.*clusters=1"),
        ({"clusters": 257}, ValueError, "integer in 2..256"),
        ({"clusters": 16.0}, ValueError, "integer in 2..256"),
        ({"clusters": True}, ValueError, "integer in 2..256"),
        ({"start": "random"}, ValueError, "start must be one of.*density.*kmeans.*linear"),
        ({"begin": 1.5}, ValueError, "fraction of the training"),
        ({"begin": "soon"}, TypeError, "begin must be in"),
        ({"overrides": {"head": 1}}, ValueError, "integer in 2..256"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, kind, message):
    with pytest.raises(kind, match=message):
        tfc.Cluster(**arguments)


# the file of a clustered model that was not trained for int8


@pytest.mark.parametrize("scales", ["auto", "channel", "tensor"])
def test_post_training_scales_of_a_clustered_model(scales):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([keras.Input((40,)), layers.Dense(64, activation="relu", name="wide"), layers.Dense(4)])
    model.compile("adam", "mse")
    wide = model.get_layer("wide").kernel  # channels of very different size
    wide.assign(wide * np.geomspace(0.1, 1.0, 64, dtype="float32"))
    x = np.random.default_rng(0).normal(size=(64, 40)).astype("float32")
    compression = tfc.Compression(tfc.Cluster(8, where="wide"), verbose=0)
    model.fit(x, x[:, :4], epochs=2, verbose=0, callbacks=[compression])
    artifact = tfc.convert(model, calibration=x, scales=scales)
    (wide,) = [k for k in artifact.kernels().values() if k.shape == (64, 40)]
    notes = " ".join(artifact.metadata["notes"])
    one_scale = scales == "tensor" or "clustered kernels have one scale each" in notes
    assert max(np.unique(row).size for row in wide) <= 8
    assert np.unique(wide).size <= 8 if one_scale else np.unique(wide).size > 8
    if scales == "auto":  # said, whichever way it was decided
        assert one_scale or "one scale per channel" in notes
        by = {s: tfc.convert(model, calibration=x, scales=s) for s in ("channel", "tensor")}
        like = by["tensor" if one_scale else "channel"].kernels()
        np.testing.assert_array_equal(wide, next(k for k in like.values() if k.shape == wide.shape))
        if one_scale:
            assert artifact.gzip_size < by["channel"].gzip_size
