"""Prune: exactly round(s * n) zeros under every schedule, criterion, scope and pattern."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.transforms.mask import Mask
from tfcompress.layer_table.axes import Axes

pytestmark = pytest.mark.sampled(5)

S = tfc.schedules
SIZES = (91, 39)


def kernels(model):
    """Kernels by layer name."""
    return {layer.name: layer.kernel.numpy() for layer in model.layers}


def zeros(model):
    """Zeros of each kernel."""
    return [int((w == 0).sum()) for w in kernels(model).values()]


def exact(sparsity):
    """What the law wants of the small net."""
    return [round(sparsity * n) for n in SIZES]


# schedules

SCHEDULES = {
    "constant": S.constant(0.7),
    "linear": S.linear(0.1, 0.7, begin=0.2, stop=0.8),
    "polynomial": S.polynomial(0.0, 0.7, power=2.0),
    "cosine": S.cosine(0.0, 0.7, stop=0.9),
    "exponential": S.exponential(0.0, 0.7),
    "stairs": S.steps({0.2: 0.3, 0.6: 0.7}),
    "linear in steps": S.linear(0.0, 0.7, begin=10, stop=60, unit="steps"),
    "stairs in steps": S.steps({5: 0.2, 50: 0.7}, unit="steps"),
    "longer than the training": S.linear(0.0, 0.9, begin=0, stop=200, unit="steps"),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_masks_follow_the_schedule_to_the_weight(name, net, driven):
    plan, model = SCHEDULES[name], net()
    run = driven(tfc.Prune(plan), model)
    for step in range(0, 100, 5):
        run.at(step)
        assert run.off() == exact(plan.value(step, 100))
    run.finish()
    assert run.off() == zeros(model) == exact(plan.value(100, 100))


@pytest.mark.parametrize("sparsity", [0.0, 0.005, 0.5, 0.8, 0.987, np.float32(0.25), 0])
def test_a_number_is_reached_at_half_time_and_kept(sparsity, net, driven):
    run = driven(tfc.Prune(sparsity), net())
    run.at(20)
    assert 0 <= run.off()[0] <= exact(sparsity)[0]
    run.at(50)
    then = run.masks()
    assert run.off() == exact(sparsity)
    for k in run.kernels:  # whatever the weights do afterwards
        k.chain.variable.assign(np.random.default_rng(1).normal(size=k.chain.variable.shape))
    run.at(80)
    run.finish()
    assert all((then[n] == m).all() for n, m in run.masks().items())
    assert zeros(run.model) == exact(sparsity)


@pytest.mark.parametrize("value", [1.0, -3.0, 0.0])
def test_ties_and_kernels_of_one_value_are_counted_exactly(value, net, driven):
    model = net()
    for layer in model.layers:
        layer.kernel.assign(np.full(layer.kernel.shape, value))
    run = driven(tfc.Prune(0.6), model)
    run.at(60)
    assert run.off() == exact(0.6)
    run.finish()
    assert zeros(model) == (exact(0.6) if value else list(SIZES))


@pytest.mark.parametrize("every", [1, 4, 7, 30])
def test_a_look_of_the_schedule_between_two_updates_is_not_missed(every, net, driven):
    plan = S.Gated(S.linear(0.0, 0.8, 0, 80, unit="steps"), begin=3, end=90, frequency=10)
    run = driven(tfc.Prune(plan), net())
    for step in range(0, 100, every):
        run.at(step)
        assert run.off() == exact(plan.value(step))
    run.finish()
    assert zeros(run.model) == exact(plan.value(100))


@pytest.mark.legacy
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["PolynomialDecay", "ConstantSparsity", "of a user"])
def test_schedules_of_tfmot(kind, net, driven):
    tfmot = pytest.importorskip("tensorflow_model_optimization").sparsity.keras

    class Own(tfmot.PruningSchedule):
        def __call__(self, step):
            return step % 4 == 0, 0.25 if step < 40 else 0.5

        def get_config(self):
            return {}

    made = {
        "PolynomialDecay": lambda: tfmot.PolynomialDecay(0.2, 0.8, 10, 60, frequency=7),
        "ConstantSparsity": lambda: tfmot.ConstantSparsity(0.5, 20, frequency=10),
        "of a user": Own,
    }[kind]()
    run, held = driven(tfc.Prune(made), net()), 0.0
    for step in range(100):
        run.at(step)
        should, sparsity = made(step)
        held = float(str(np.float32(sparsity))) if should else held
        assert run.off() == exact(held)
    run.finish()
    assert zeros(run.model) == exact(held)


# with the training

CASES = {
    "number": tfc.Prune(0.8),
    "constant": tfc.Prune(S.constant(0.5)),
    "to the last step": tfc.Prune(S.linear(0.0, 0.65)),
    "gradient": tfc.Prune(0.7, criterion="gradient"),
    "taylor": tfc.Prune(0.7, criterion="taylor"),
    "sensitivity": tfc.Prune(0.7, criterion="sensitivity"),
    "movement": tfc.Prune(S.linear(0.0, 0.7), criterion="movement"),
    "random": tfc.Prune(0.7, criterion="random", seed=3),
}


@pytest.mark.parametrize("name", CASES)
def test_after_fit_each_kernel_has_exactly_its_zeros(name, fitted):
    model, compression = fitted(CASES[name])
    level = compression.recipe[0].accept(compression.recipe[0].sparsity).final
    assert zeros(model) == exact(level)
    assert compression.finish() is model and zeros(model) == exact(level)
    assert all((layer.bias.numpy() != 0).any() for layer in model.layers)


def test_gradient_criteria_read_what_the_training_notes(fitted):
    model, compression = fitted(tfc.Prune(S.constant(0.4), criterion="taylor"), update_every=1)
    for _, _, mask in compression.state.find(Mask):
        assert float(mask.seen) == 12 and (np.asarray(mask.score) > 0).any()
        on = np.asarray(mask.mask) == 1
        assert np.asarray(mask.score)[on].mean() > np.asarray(mask.score)[~on].mean()


def test_magnitude_keeps_the_largest(net, driven):
    model = net()
    before = kernels(model)
    run = driven(tfc.Prune(0.6), model)
    run.at(50)
    for w, mask in zip(before.values(), run.masks().values(), strict=True):
        assert np.abs(w[mask == 1]).min() >= np.abs(w[mask == 0]).max()


def test_random_is_the_same_for_a_seed_and_another_for_another(net, driven):
    def mask(seed):
        run = driven(tfc.Prune(0.5, criterion="random", seed=seed), net())
        run.at(50)
        return np.concatenate([m.reshape(-1) for m in run.masks().values()])

    np.testing.assert_array_equal(mask(0), mask(0))
    assert (mask(0) != mask(1)).any()
    first, second = np.split(mask(0), [91])
    assert (first[:39] != second).any()  # each kernel draws for itself


def test_a_criterion_of_ones_own(net, driven):
    @tfc.criterion("first columns")
    def first_columns(evidence):
        return np.broadcast_to(-np.arange(evidence.weight.shape[1]), evidence.weight.shape)

    run = driven(tfc.Prune(6 / 13, criterion="first columns", overrides={"head": None}), net())
    run.at(50)
    (mask,) = run.masks().values()
    assert (mask[:, :7] == 1).all() and (mask[:, 7:] == 0).all()


def test_a_criterion_of_another_shape_is_refused(net, driven):
    @tfc.criterion("a scalar")
    def scalar(evidence):
        return np.float32(1.0)

    with pytest.raises(ValueError, match="one score per weight of hidden/kernel, shape"):
        driven(tfc.Prune(0.5, criterion="a scalar"), net()).at(0)


# scope and patterns


def test_global_scope_counts_over_all_kernels(fitted, net):
    model = net()
    model.get_layer("head").kernel.assign(model.get_layer("head").kernel * 3)
    model, _ = fitted(tfc.Prune(0.7, scope="global"), model)
    assert sum(zeros(model)) == round(0.7 * sum(SIZES))
    assert zeros(model)[1] < exact(0.7)[1]  # larger weights keep more


@pytest.mark.parametrize("name, sparsity", [("2:4", 0.5), ("1:4", 0.75), ("1:2", 0.5)])
def test_n_of_m(name, sparsity, fitted):
    model, compression = fitted(tfc.Prune(pattern=name))
    assert compression.recipe[0].sparsity == sparsity
    keep, of = map(int, name.split(":"))
    for w in kernels(model).values():
        whole = len(w) // of * of
        groups = w[:whole].reshape(-1, of, w.shape[1])
        assert ((groups != 0).sum(axis=1) == keep).all() and (w[whole:] != 0).all()


def test_n_of_m_sets_in_when_its_schedule_does(net, driven):
    run = driven(tfc.Prune(S.steps({0.4: 0.5}), pattern="2:4"), net())
    run.at(39)
    assert run.off() == [0, 0]
    run.at(40)
    assert run.off() == [2 * 13, 6 * 3]


def conv_net():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((7,)),
            layers.Reshape((7, 1, 1)),
            layers.Conv2D(8, (3, 1), activation="relu", name="conv"),
            layers.Conv2D(9, (2, 1), name="second"),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="head"),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.parametrize("name, tile", [("4x4", (4, 4)), ("1x3", (1, 3)), ("5x2", (5, 2))])
def test_blocks(name, tile, fitted):
    model, _ = fitted(tfc.Prune(0.6, pattern=name), conv_net())
    for layer, axes in (("conv", "xyio"), ("second", "xyio"), ("head", "io")):
        w, _ = Axes(axes).matrix(model.get_layer(layer).kernel.numpy())
        r, c = tile
        tiles = [w[i : i + r, j : j + c] for i in range(0, len(w), r) for j in range(0, w.shape[1], c)]
        off = [bool((t == 0).all()) for t in tiles]
        assert sum(off) == round(0.6 * len(tiles))
        assert all(o or (t != 0).all() for o, t in zip(off, tiles, strict=True))


def test_channels(fitted):
    model, _ = fitted(tfc.Prune(0.5, pattern="channel", overrides={"head": None}), conv_net())
    for name, channels in (("conv", 8), ("second", 9)):
        w = model.get_layer(name).kernel.numpy().reshape(-1, channels)
        off = (w == 0).all(axis=0)
        assert int(off.sum()) == round(0.5 * channels) and (w[:, ~off] != 0).all()


# threshold, penalty, rewinding


def test_a_threshold_takes_what_is_below(fitted):
    model, _ = fitted(tfc.Prune(threshold=0.2, overrides={"head": 0.4}))
    for name, bar in (("hidden", 0.2), ("head", 0.4)):
        w = kernels(model)[name]
        assert 0 < (w == 0).sum() < w.size
        assert np.abs(w[w != 0]).min() >= bar


def test_l1_shrinks_the_treated_weights_only(fitted):
    def sizes(**options):
        model, _ = fitted(tfc.Prune(0.5, overrides={"head": None}, **options), epochs=4)
        return [np.abs(w).sum() for w in kernels(model).values()]

    plain, shrunk = sizes(), sizes(l1=0.05)
    assert shrunk[0] < 0.9 * plain[0]
    assert shrunk[1] > 0.9 * plain[1]


class Notes(keras.callbacks.Callback):
    """Trainable weights before every step; from step `until` on nothing is learned any more."""

    def __init__(self, until):
        super().__init__()
        self.weights, self.until = [], until

    def on_train_batch_begin(self, batch, logs=None):
        if len(self.weights) == self.until:
            self.model.optimizer.learning_rate.assign(0.0)
        self.weights.append([v.numpy() for v in self.model.trainable_variables])


@pytest.mark.parametrize("rewind, step", [(0.0, 0), (0.25, 6)])
def test_rewinding_gives_back_the_weights_of_the_earlier_step(rewind, step, fitted):
    # 24 steps; before step 18 the schedule is at its end
    notes, technique = Notes(18), tfc.Prune(S.linear(0.0, 0.5, stop=0.75), rewind=rewind)
    model, compression = fitted(technique, epochs=4, callbacks=[notes], update_every=1)
    assert len(notes.weights) == 24
    for now, then in zip(notes.weights[19], notes.weights[step], strict=True):
        np.testing.assert_array_equal(now, then)
    assert any((a != b).any() for a, b in zip(notes.weights[18], notes.weights[step], strict=True))
    assert zeros(model) == exact(0.5)  # with the mask that was found before going back
    for _, chain, mask in compression.state.find(Mask):
        assert ((chain.variable.numpy() == 0) == (np.asarray(mask.mask) == 0)).all()


def test_weights_put_back_from_before_the_end_still_have_exactly_their_zeros(fitted, points):
    stop = keras.callbacks.EarlyStopping(
        monitor="loss", mode="max", patience=10, restore_best_weights=True, start_from_epoch=0
    )  # the highest loss: the first epoch
    for criterion in ("magnitude", "random", "taylor"):
        technique = tfc.Prune(S.linear(0.0, 0.6, stop=0.9), criterion=criterion)
        model, compression = fitted(technique, epochs=3, callbacks=[stop])
        compression.finish()
        assert zeros(model) == exact(0.6)


# choice


def test_where_overrides_and_frozen_layers(fitted, net):
    model, compression = fitted(tfc.Prune(0.5, overrides={"head": 0.25, "Embedding|hidden": 0.75}))
    assert zeros(model) == [round(0.75 * 91), round(0.25 * 39)]
    model, compression = fitted(tfc.Prune(0.5, where="head"))
    assert zeros(model)[0] == 0 and zeros(model)[1] == exact(0.5)[1]
    assert [r.is_treated for r in compression.plan.rows] == [False, True]
    model, _ = fitted(tfc.Prune(0.5, overrides={keras.layers.Dense: 0.3, "head": None}))
    assert zeros(model) == [round(0.3 * 91), 0]
    frozen = net()
    frozen.get_layer("hidden").trainable = False
    before = kernels(frozen)["hidden"]
    fitted(tfc.Prune(0.5), frozen)
    np.testing.assert_array_equal(kernels(frozen)["hidden"], before)
    assert zeros(frozen)[1] == exact(0.5)[1]


@pytest.mark.parametrize(
    "arguments, kind, message",
    [
        ({"sparsity": 80}, ValueError, r"must be in \[0, 1\).*sparsity=80.*Did you mean 0.8\?"),
        ({"sparsity": 1.0}, ValueError, r"must be in \[0, 1\)"),
        ({"sparsity": -0.1}, ValueError, r"must be in \[0, 1\)"),
        ({"sparsity": float("nan")}, ValueError, r"must be in \[0, 1\)"),
        ({"sparsity": "much"}, TypeError, "Prune: sparsity: A schedule must be a number"),
        ({"sparsity": True}, TypeError, "Prune: sparsity: A schedule must be a number"),
        ({}, ValueError, "either sparsity or threshold"),
        ({"sparsity": 0.5, "threshold": 0.1}, ValueError, "either sparsity or threshold"),
        ({"sparsity": S.linear(0.0, 1.0)}, ValueError, r"must stay in \[0, 1\)"),
        ({"threshold": -1.0}, ValueError, "threshold must be >= 0"),
        ({"threshold": "low"}, TypeError, "threshold must be a number"),
        ({"sparsity": 0.5, "l1": -1}, ValueError, "l1 must be >= 0"),
        ({"sparsity": 0.5, "l1": float("nan")}, ValueError, "l1 must be finite"),
        ({"sparsity": 0.5, "criterion": "size"}, ValueError, "criterion must be one of"),
        ({"sparsity": 0.5, "scope": "model"}, ValueError, "'layer' or 'global'"),
        ({"sparsity": 0.5, "pattern": "3:2"}, ValueError, "pattern must be"),
        ({"sparsity": 0.8, "pattern": "2:4"}, ValueError, "has sparsity 0.5 by itself"),
        ({"pattern": "2:4", "overrides": {"a": 0.8}}, ValueError, "has sparsity 0.5 by itself"),
        ({"sparsity": 0.5, "pattern": "4x4", "scope": "global"}, ValueError, "per layer"),
        ({"threshold": 0.5, "pattern": "2:4"}, ValueError, "either|per layer"),
        ({"sparsity": 0.5, "scope": "global", "overrides": {"a": 0.1}}, ValueError, "only be None"),
        ({"sparsity": 0.5, "overrides": {"a": 80}}, ValueError, "Did you mean 0.8"),
        ({"sparsity": 0.5, "overrides": ["a"]}, TypeError, "overrides must map"),
        ({"sparsity": 0.5, "overrides": {"(": 0.1}}, ValueError, "valid regular expressions"),
        ({"sparsity": 0.5, "where": 3}, TypeError, "where must be None"),
        ({"sparsity": 0.5, "rewind": 1.0}, ValueError, r"in \[0, 1\)"),
        ({"sparsity": 0.5, "rewind": 0.6}, ValueError, "rewind < stop < 1"),
        ({"sparsity": S.linear(0, 0.5), "rewind": 0.1}, ValueError, "rewind < stop < 1"),
        ({"sparsity": S.constant(0.5), "rewind": 0.1}, ValueError, "whose schedule has an end"),
        ({"threshold": 0.5, "rewind": 0.1}, ValueError, "whose schedule has an end"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, kind, message):
    with pytest.raises(kind, match=message):
        tfc.Prune(**arguments)


@pytest.mark.parametrize("option", ["where", "overrides"])
def test_names_of_no_layer_are_refused_by_the_plan(option, net):
    technique = tfc.Prune(0.5, **{option: "haed" if option == "where" else {"haed": 0.1}})
    with pytest.raises(ValueError, match="names no layer of model 'net'.*haed.*hidden, head"):
        tfc.Compression(technique).set_model(net())


@pytest.mark.parametrize("sparsity", [0.8, 0.95])
def test_a_layer_keeps_one_channel(sparsity, fitted):
    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3, name="head")]
    model = keras.Sequential([keras.Input((7,)), *layers])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model, _ = fitted(tfc.Prune(sparsity, pattern="channel"), model)
    alive = (model.get_layer("head").kernel.numpy() != 0).any(axis=0)
    assert alive.sum() == 3 - min(round(sparsity * 3), 2)
