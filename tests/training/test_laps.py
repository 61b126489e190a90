"""Layers that become trainable between two fits, or inside one, are compressed; masks that exist are kept."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.transforms.centroids import Centroids
from tfcompress.fake_quant.transforms.mask import Mask

pytestmark = pytest.mark.sampled(4)

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(model, **options):
    model.compile(keras.optimizers.SGD(0.1), LOSS, jit_compile=False, **options)
    return model


def backbone(**frozen):
    """A nested base that does not train, and a head."""
    base = keras.Sequential([keras.Input((6,)), L.Dense(12, activation="relu", name="inner")], name="base")
    base.trainable = False
    return base, compiled(keras.Sequential([keras.Input((6,)), base, L.Dense(3, name="head")]))


class Unfreeze(keras.callbacks.Callback):
    """The second phase of transfer learning, in the middle of a fit."""

    def __init__(self, base, event, at=1, makes=True):
        super().__init__()
        self.base, self.at, self.makes = base, at, makes
        setattr(self, event, self._act)

    def _act(self, number, logs=None):
        if number == self.at and not self.base.trainable:
            self.base.trainable = True
            compiled(self.model)
            if self.makes:
                self.model.make_train_function(force=True)


def zeros(*layers):
    return [int((layer.kernel.numpy() == 0).sum()) for layer in layers]


RECIPES = pytest.mark.parametrize(
    "recipe", [[tfc.Prune(0.5)], [tfc.Prune(0.5), tfc.Cluster(4), tfc.Quantize("int8", ranges="learned")]], ids=len
)


@RECIPES
def test_a_base_that_is_unfrozen_for_a_second_fit_is_treated(points, recipe, file_agrees):
    base, model = backbone()
    compression = tfc.Compression(recipe, verbose=0)
    model.fit(*points, epochs=2, verbose=0, callbacks=[compression])
    inner, head = base.layers[0], model.layers[-1]
    assert zeros(head) == [18] and "trainable=False" in str(compression.plan)
    masks = [m.mask.numpy() for _, c, m in compression.state.find(Mask) if c.variable is head.kernel]
    seen = [float(span.seen) for span in compression.state.ranges]
    base.trainable = True
    history = compiled(model).fit(*points, epochs=4, verbose=0, callbacks=[compression]).history
    assert zeros(inner, head) == [36, 18] and "trainable=False" not in str(compression.plan)
    kept = [m.mask.numpy() for _, c, m in compression.state.find(Mask) if c.variable is head.kernel]
    np.testing.assert_array_equal(masks, kept)
    # the newcomers go through the whole schedule, over the fit that is theirs
    assert history["sparsity"] == sorted(history["sparsity"]) and history["sparsity"][-1] == 0.5
    assert history["sparsity"][0] < 0.45
    assert [float(span.seen) for span in compression.state.ranges] == [n + 12 for n in seen]
    assert compression.notes == [] and compression.clock.step == 18
    if len(recipe) == 3:
        assert len(np.unique(inner.kernel.numpy())) <= 5 and len(np.unique(head.kernel.numpy())) <= 5
        file_agrees(compression, points[0])


@pytest.mark.slow
@pytest.mark.parametrize("event", ["on_epoch_begin", "on_epoch_end", "on_train_batch_begin", "on_train_batch_end"])
@pytest.mark.parametrize("is_first", [True, False], ids=["ours first", "ours last"])
def test_a_base_that_is_unfrozen_inside_a_fit(points, event, is_first, laws):
    base, model = backbone()
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    unfreeze = Unfreeze(base, event)
    order = [compression, unfreeze] if is_first else [unfreeze, compression]
    model.fit(*points, epochs=4, verbose=0, validation_data=points, callbacks=order)
    assert zeros(base.layers[0]) == [36] and compression.clock.step == 12 and compression.notes == []
    laws(model, compression, points[0])


def test_a_compile_that_makes_no_new_function_is_enough(points, laws):
    """Plain Keras fails there: nobody makes the function that compile took away."""
    base, model = backbone()
    compression = tfc.Compression([tfc.Prune(0.5)], verbose=0)
    model.fit(*points, epochs=3, verbose=0, callbacks=[compression, Unfreeze(base, "on_epoch_begin", makes=False)])
    assert zeros(base.layers[0], model.layers[-1]) == [36, 18] and compression.clock.step == 9


def test_unfrozen_when_its_own_schedule_is_long_over(points):
    """Inside a second fit; stopped before its end the newcomers have their final values as well."""
    base, model = backbone()
    compression = tfc.Compression([tfc.Prune(0.5)], verbose=0)
    model.fit(*points, epochs=1, verbose=0, callbacks=[compression])
    stop = keras.callbacks.EarlyStopping("sparsity", mode="min", patience=2)
    model.fit(*points, epochs=9, verbose=0, callbacks=[compression, Unfreeze(base, "on_epoch_begin"), stop])
    assert zeros(base.layers[0], model.layers[-1]) == [36, 18]
    assert any("of the schedule" in note for note in compression.notes)


def test_clusters_and_learned_ranges_keep_their_values_and_optimizer(points):
    base, model = backbone()
    compression = tfc.Compression([tfc.Cluster(4, begin=0.0), tfc.Quantize("int8", ranges="learned")], verbose=0)
    compression.set_model(model)
    model.fit(*points, epochs=2, verbose=0, callbacks=[compression])
    optimizer, spans = compression.state.optimizer, compression.state.ranges
    shared = {id(c.variable): x for _, c, x in compression.state.find(Centroids)}
    base.trainable = True
    compression.set_model(compiled(model))  # the new plan is there to be looked at before fit
    assert "Cluster" in [r for r in compression.plan.rows if r.layer == "base/inner"][0].action
    assert compression.state.optimizer is optimizer
    assert all(a is b for a, b in zip(compression.state.ranges, spans, strict=True))
    for _, c, x in compression.state.find(Centroids):
        assert shared.get(id(c.variable), x) is x


def test_what_no_longer_trains_keeps_its_mask(points):
    base, model = backbone()
    base.trainable = True
    compression = tfc.Compression([tfc.Prune(0.5)], verbose=0)
    compiled(model).fit(*points, epochs=2, verbose=0, callbacks=[compression])
    before = base.layers[0].kernel.numpy()
    base.trainable = False
    compiled(model).fit(*points, epochs=1, verbose=0, callbacks=[compression])
    np.testing.assert_array_equal(base.layers[0].kernel.numpy(), before)
    assert zeros(base.layers[0]) == [36] and "the weight keeps the transforms that it has" in str(compression.plan)
    base.trainable = True
    compiled(model).fit(*points, epochs=1, verbose=0, callbacks=[compression])
    assert zeros(base.layers[0], model.layers[-1]) == [36, 18]


def test_an_equal_plan_is_kept_as_it_is(points, dense_net):
    model, compression = dense_net(), tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    model.fit(*points, epochs=1, verbose=0, callbacks=[compression])
    plan = compression.plan
    model.fit(*points, epochs=1, verbose=0, callbacks=[compression])
    assert compression.plan is plan


def test_rewinding_gives_back_what_trained_from_the_start_and_what_began_to_train(points):
    base, model = backbone()
    ramp = tfc.schedules.linear(0.0, 0.5, stop=0.6)
    compression = tfc.Compression([tfc.Prune(ramp, rewind=0.0)], verbose=0)
    start = base.layers[0].kernel.numpy()
    model.fit(*points, epochs=4, verbose=0, callbacks=[compression, Unfreeze(base, "on_epoch_begin")])
    assert zeros(base.layers[0], model.layers[-1]) == [36, 18]
    snapshot = compression.memories["Prune"].extras[0]
    assert float(snapshot.stage) == 2
    np.testing.assert_array_equal(snapshot.values[0].numpy(), start)


def test_a_session_says_what_it_can_not_treat(points):
    base, model = backbone()
    session = tfc.compress(model, [tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    session.model.get_layer("base_inner").trainable = True
    compiled(session.model).fit(*points, epochs=1, verbose=0, callbacks=session.callbacks)
    (note,) = session.callback.notes
    assert "base_inner became trainable" in note and "Prune leaves them out" in note
    again = tfc.compress(session.model, [tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    compiled(again.model).fit(*points, epochs=1, verbose=0, callbacks=again.callbacks)
    assert zeros(again.finish().get_layer("base_inner")) == [36]
