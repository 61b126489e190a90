"""Distill: the loss is Hinton's, adapters train, teachers stay as they are, and recipes name them by path."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.distillation.distill_loss import Lesson
from tfcompress.distillation.teachers import answers

pytestmark = pytest.mark.sampled(5)

L = keras.layers
FROM_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
FROM_PROBABILITIES = keras.losses.SparseCategoricalCrossentropy()


def classifier(ending=None, units=3, seed=0, hidden=5, regularizer=None):
    """Dense-Dense; equal weights for equal seeds, whatever it ends in."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((7,)),
            L.Dense(hidden, activation="tanh", kernel_regularizer=regularizer, name="hidden"),
            L.Dense(units, activation=ending, name="head"),
        ],
        name=f"net_{seed}",
    )


def logits_of(model, x):
    """Logits of a classifier by numpy."""
    (a, b), (c, d) = (layer.get_weights() for layer in model.layers)
    return (np.tanh(x @ a + b) @ c + d).astype("float64")


def log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def reference(teacher, student, labels, temperature, alpha, weights=None):
    """Hinton 2015: alpha * cross-entropy + (1 - alpha) * T^2 * KL(teacher / T || student / T), weighted mean."""
    p, q = log_softmax(teacher / temperature), log_softmax(student / temperature)
    soft = temperature**2 * (np.exp(p) * (p - q)).sum(axis=-1)
    hard = -log_softmax(student)[np.arange(len(labels)), labels]
    weights = np.ones(len(labels)) if weights is None else weights
    return float((weights * (alpha * hard + (1 - alpha) * soft)).mean())


def step_loss(student, techniques, x, y, loss, **fit):
    """The training loss of one step over all data that changes no weight; eager, for one step is not worth a graph."""
    student.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    compression = tfc.Compression(techniques, verbose=0)
    history = student.fit(x, y, batch_size=len(x), epochs=1, verbose=0, callbacks=[compression], **fit)
    return history.history["loss"][0]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_hintons(points, temperature, alpha, weighted):
    x, y = points
    teacher, student = classifier(seed=1), classifier(seed=2)
    weights = np.random.default_rng(3).uniform(0.0, 2.0, len(x)) if weighted else None
    technique = tfc.Distill(teacher, temperature=temperature, alpha=alpha)
    found = step_loss(student, [technique], x, y, FROM_LOGITS, sample_weight=weights)
    wanted = reference(logits_of(teacher, x), logits_of(student, x), y, temperature, alpha, weights)
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("theirs", [None, "softmax"])
@pytest.mark.parametrize("mine", [None, "softmax"])
def test_what_teacher_and_student_end_in_makes_no_difference(points, theirs, mine):
    x, y = points
    teacher, student = classifier(theirs, seed=1), classifier(mine, seed=2)
    loss = FROM_PROBABILITIES if mine else FROM_LOGITS
    found = step_loss(student, [tfc.Distill(teacher, temperature=2.5)], x, y, loss)
    wanted = reference(logits_of(teacher, x), logits_of(student, x), y, 2.5, 0.1)
    assert found == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("theirs", [None, "sigmoid"])
@pytest.mark.parametrize("mine", [None, "sigmoid"])
def test_units_that_are_probabilities_of_their_own(points, theirs, mine):
    """KL of two outcomes for each unit, summed over units; `answers` says it where no sigmoid does."""
    x, _ = points
    y = np.random.default_rng(4).integers(0, 2, (len(x), 3)).astype("float32")
    teacher, student = classifier(theirs, seed=1), classifier(mine, seed=2)
    said = {} if theirs or mine else {"answers": "sigmoid"}
    technique = tfc.Distill(teacher, temperature=3.0, alpha=0.0, **said)
    loss = keras.losses.BinaryCrossentropy(from_logits=mine is None)
    a, b = (logits_of(m, x) / 3.0 for m in (teacher, student))
    p, q = 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b))
    each = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    found = step_loss(student, [technique], x, y, loss)
    assert found == pytest.approx(9.0 * each.sum(axis=1).mean(), rel=1e-4)


def test_plain_numbers(points):
    x, _ = points
    y = np.zeros((len(x), 1), "float32")
    teacher, student = classifier(units=1, seed=1), classifier(units=1, seed=2)
    technique = tfc.Distill(teacher, alpha=0.25, answers="linear")
    a, b = logits_of(teacher, x), logits_of(student, x)
    wanted = 0.25 * np.square(b).mean() + 0.75 * np.square(a - b).mean()
    assert step_loss(student, [technique], x, y, "mse") == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("weights", [None, (1.0, 3.0)])
def test_several_teachers_give_the_weighted_mean(points, weights):
    x, y = points
    teachers, student = [classifier(seed=1), classifier(seed=5)], classifier(seed=2)
    found = step_loss(student, [tfc.Distill(teachers, weights=weights)], x, y, FROM_LOGITS)
    alone = [reference(logits_of(t, x), logits_of(student, x), y, 3.0, 0.1) for t in teachers]
    assert found == pytest.approx(np.average(alone, weights=weights), rel=1e-5)


def test_regularization_keeps_its_weight(points):
    x, y = points
    teacher = classifier(seed=1)
    student = classifier(seed=2, regularizer=keras.regularizers.L2(0.5))
    found = step_loss(student, [tfc.Distill(teacher)], x, y, FROM_LOGITS)
    penalty = 0.5 * np.square(student.layers[0].kernel.numpy()).sum()
    wanted = reference(logits_of(teacher, x), logits_of(student, x), y, 3.0, 0.1)
    assert found == pytest.approx(wanted + penalty, rel=1e-5)


def test_masked_steps_do_not_count():
    """A sequence of classes with padding: the mean over what Keras' own loss counts."""
    words = np.array([[1, 2, 3, 0], [4, 0, 0, 0]])
    y = np.array([[0, 1, 2, 0], [1, 0, 0, 0]])

    def tagger(seed):
        keras.utils.set_random_seed(seed)
        embedding = L.Embedding(5, 4, mask_zero=True, embeddings_initializer="random_normal")
        return keras.Sequential([keras.Input((4,), dtype="int32"), embedding, L.Dense(3)])

    teacher, student = tagger(1), tagger(2)
    found = step_loss(student, [tfc.Distill(teacher)], words, y, FROM_LOGITS)
    keep = words.ravel() != 0
    a, b = (np.asarray(m(words), "float64").reshape(-1, 3)[keep] for m in (teacher, student))
    assert found == pytest.approx(reference(a, b, y.ravel()[keep], 3.0, 0.1), rel=1e-5)


def two_heads(seed, names):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((7,))
    return keras.Model(inputs, {n: L.Dense(3, name=n)(inputs) for n in names})


def test_each_of_several_outputs_has_its_teacher_and_its_weights(points):
    x, y = points
    rng = np.random.default_rng(6)
    teacher, student = two_heads(1, ("a", "b")), two_heads(2, ("a", "b"))
    weights = {n: rng.uniform(0.5, 1.5, len(x)) for n in ("a", "b")}
    found = step_loss(
        student,
        [tfc.Distill(teacher)],
        x,
        {"a": y, "b": y[::-1]},
        {"a": FROM_LOGITS, "b": FROM_LOGITS},
        sample_weight=weights,
    )
    theirs, mine = ({k: np.asarray(v, "float64") for k, v in m(x).items()} for m in (teacher, student))
    wanted = reference(theirs["a"], mine["a"], y, 3.0, 0.1, weights["a"])
    wanted += reference(theirs["b"], mine["b"], y[::-1], 3.0, 0.1, weights["b"])
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("last", "ending"),
    [
        (lambda x: L.Dense(3)(x), "logits"),
        (lambda x: L.Dense(3, activation="softmax")(x), "softmax"),
        (lambda x: L.Softmax()(L.Dense(3)(x)), "softmax"),
        (lambda x: L.Activation("softmax", dtype="float32")(L.Dense(3)(x)), "softmax"),
        (lambda x: keras.ops.softmax(L.Dense(3)(x)), "softmax"),
        (lambda x: keras.ops.sigmoid(L.Dense(3)(x)), "sigmoid"),
        (lambda x: L.Activation("linear")(L.Dense(3, activation="sigmoid")(x)), "sigmoid"),
        (lambda x: L.Reshape((3, 1))(L.Dense(3, activation="softmax")(x)), "softmax"),
        (lambda x: L.TimeDistributed(L.Dense(3, activation="softmax"))(L.Reshape((7, 1))(x)), "softmax"),
        (lambda x: L.Dropout(0.5)(L.Dense(3, activation="softmax")(x)), "softmax"),
        (lambda x: L.Dense(2)(L.Dense(3, activation="softmax")(x)), "logits"),
    ],
)
def test_the_ending_is_found(last, ending):
    inputs = keras.Input((7,))
    (answer,) = answers(keras.Model(inputs, last(inputs)))
    assert answer.ending == ending


class Distance(keras.callbacks.Callback):
    """The mean squared difference of the features, after every epoch."""

    def __init__(self, compression, teacher, student, pair, x):
        super().__init__()
        self.compression, self.x, self.found = compression, x, []
        self.mine = keras.Model(student.inputs[0], student.get_layer(pair[1]).output)
        self.theirs = keras.Model(teacher.inputs[0], teacher.get_layer(pair[0]).output)

    def on_epoch_end(self, epoch, logs=None):
        lesson = self.compression.memories["Distill"].extras[0]
        self.found.append(float(lesson.distance(0, self.theirs(self.x), self.mine(self.x))))


@pytest.mark.parametrize("hidden", [5, 4])  # as wide as the teacher's, and narrower, with an adapter
def test_features_come_closer_and_the_adapter_trains(points, hidden):
    x, y = points
    teacher, student = classifier(seed=1), classifier(seed=2, hidden=hidden)
    technique = tfc.Distill(teacher, alpha=1.0, features=[("hidden", "hidden")], feature_weight=5.0)
    compression = tfc.Compression([technique], verbose=0, learning_rate=0.02)
    student.compile(keras.optimizers.Adam(0.02), FROM_LOGITS)
    distance = Distance(compression, teacher, student, ("hidden", "hidden"), x)
    compression.set_model(student)
    (kernel,) = compression.memories["Distill"].extras[0].kernels
    start = None if kernel is None else kernel.numpy()
    student.fit(x, y, epochs=25, batch_size=32, verbose=0, callbacks=[compression, distance])
    assert distance.found[-1] < 0.25 * distance.found[0]
    assert (kernel is None) == (hidden == 5)
    if kernel is not None:
        assert np.abs(kernel.numpy() - start).max() > 0.1
        assert kernel.shape == (4, 5) and all(kernel is not v for v in student.weights)


def test_adapters_start_by_their_seed(points):
    def kernel(seed):
        keras.utils.set_random_seed(9)  # the global generator has no say
        technique = tfc.Distill(classifier(), features=[("hidden", "hidden")], seed=seed)
        return Lesson(technique, classifier(seed=1, hidden=4)).kernels[0].numpy()

    np.testing.assert_array_equal(kernel(0), kernel(0))
    assert np.abs(kernel(0) - kernel(1)).max() > 0.01


def test_features_of_nested_models_in_place_and_in_a_session(points):
    """The path of a nested layer holds in both forms, though a session's model is flat."""
    x, y = points

    def nested(seed, hidden):
        keras.utils.set_random_seed(seed)
        inner = keras.Sequential([keras.Input((7,)), L.Dense(hidden, name="wide")], name="backbone")
        inputs = keras.Input((7,))
        return keras.Model(inputs, L.Dense(3, name="head")(inner(inputs)))

    teacher = nested(1, 6)
    recipe = [
        tfc.Distill(teacher, alpha=0.0, features=[("backbone/wide", "backbone/wide")]),
        tfc.Prune(0.5),
    ]
    losses = []
    student = nested(2, 4)
    session = tfc.compress(student, recipe, verbose=0)
    compression = tfc.Compression(recipe, verbose=0)
    for model, callbacks in ((student, [compression]), (session.model, session.callbacks)):
        model.compile(keras.optimizers.SGD(0.05), FROM_LOGITS)
        history = model.fit(x, y, epochs=3, shuffle=False, verbose=0, callbacks=callbacks)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[0][-1] < losses[0][0]


def normed(seed, width=6):
    """Conv-free net with BatchNormalization and Dropout, which behave differently while training."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((7,)),
            L.Dense(width, name="hidden"),
            L.BatchNormalization(name="norm"),
            L.ReLU(name="relu"),
            L.Dropout(0.5),
            L.Dense(3, name="head"),
        ]
    )


def test_the_teacher_is_not_touched(points):
    x, y = points
    teacher, student = normed(1), normed(2, width=4)
    teacher.get_layer("hidden").trainable = False
    before = [v.numpy() for v in teacher.variables]
    flags = [(layer.name, layer.trainable) for layer in teacher.layers]
    said = teacher(x).numpy()
    student.compile("adam", FROM_LOGITS)
    recipe = [tfc.Distill(teacher, features=[("relu", "relu")]), tfc.Quantize("int8")]
    student.fit(x, y, epochs=2, verbose=0, callbacks=[tfc.Compression(recipe, verbose=0)])
    for a, v in zip(before, teacher.variables, strict=True):
        np.testing.assert_array_equal(a, v.numpy())
    assert flags == [(layer.name, layer.trainable) for layer in teacher.layers]
    assert not any("call" in layer.__dict__ for layer in teacher.layers)
    np.testing.assert_array_equal(said, teacher(x).numpy())


def test_validation_loss_is_the_plain_one(points):
    x, y = points
    teacher, student = classifier(seed=1), classifier(seed=2)
    student.compile(keras.optimizers.SGD(0.0), FROM_LOGITS)
    plain = student.evaluate(x, y, verbose=0)
    history = student.fit(
        x,
        y,
        validation_data=(x, y),
        verbose=0,
        callbacks=[tfc.Compression([tfc.Distill(teacher, temperature=7)], verbose=0)],
    )
    assert history.history["val_loss"][0] == pytest.approx(plain, rel=1e-6)
    assert abs(history.history["loss"][0] - plain) > 0.01
    assert student.evaluate(x, y, verbose=0) == pytest.approx(plain, rel=1e-6)


def agreement(teacher, student, x):
    """Fraction of equal answers."""
    return np.mean(np.argmax(teacher(x), -1) == np.argmax(student(x), -1))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["plain", "jit", "eager", "mixed_float16", "session"])
def test_a_student_without_labels_learns_its_teacher(points, form):
    """alpha=0 and labels that say nothing: what is learned can only be the teacher's."""
    x, y = points
    teacher = classifier("softmax", seed=1)
    teacher.get_layer("head").kernel.assign(teacher.get_layer("head").kernel * 6.0)
    policy = "mixed_float16" if form == "mixed_float16" else "float32"
    keras.config.set_dtype_policy(policy)
    try:
        student = classifier(seed=2, hidden=16)
    finally:
        keras.config.set_dtype_policy("float32")
    recipe = [tfc.Distill(teacher, alpha=0.0, features=[("hidden", "hidden")]), tfc.Prune(0.5)]
    compression = tfc.Compression(recipe, verbose=0)
    model, callbacks, final = student, [compression], lambda: student
    if form == "session":
        session = tfc.compress(student, recipe, verbose=0)
        model, callbacks, final = session.model, session.callbacks, session.finish
    model.compile(
        keras.optimizers.Adam(0.02),
        FROM_LOGITS,
        jit_compile=form == "jit",
        run_eagerly=form == "eager",
    )
    epochs = 6 if form == "eager" else 30
    model.fit(x, np.zeros_like(y), epochs=epochs, batch_size=32, verbose=0, callbacks=callbacks)
    assert agreement(teacher, final(), x) > 0.85
    for name in ("hidden", "head"):
        kernel = final().get_layer(name).kernel.numpy()
        assert int((kernel == 0).sum()) == round(0.5 * kernel.size)


class Reaches(keras.Model):
    """A train_step of its own that asks for the loss as Keras documents it."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self._loss_tracker.update_state(loss)
        return {"loss": loss}


class Misses(keras.Model):
    """A train_step that computes a loss by itself."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = FROM_LOGITS(y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


class WithoutInputs(Reaches):
    """A train_step that keeps the inputs to itself."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(None, y, y_pred, sample_weight, training)

    def train_step(self, data):
        x, y = data
        loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        return {"loss": loss}


def around(kind, model):
    """The model's graph in a class with another train_step."""
    return kind(model.inputs[0], model.outputs[0])


def test_a_train_step_that_asks_for_the_loss(points):
    x, y = points
    teacher, student = classifier(seed=1), classifier(seed=2)
    found = step_loss(around(Reaches, student), [tfc.Distill(teacher)], x, y, FROM_LOGITS)
    wanted = reference(logits_of(teacher, x), logits_of(student, x), y, 3.0, 0.1)
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Misses, r"Distill add to the loss.*Misses.*never calls self\.compute_loss"),
        (WithoutInputs, r"Distill needs the inputs"),
    ],
)
def test_a_train_step_that_does_not(points, kind, text):
    x, y = points
    teacher, student = classifier(seed=1), around(kind, classifier(seed=2))
    with pytest.raises(ValueError, match=text):
        step_loss(student, [tfc.Distill(teacher)], x, y, FROM_LOGITS)


def test_json_names_teachers_by_path(tmp_path, points):
    x, y = points
    teacher = classifier(seed=1)
    path = tmp_path / "teacher.keras"
    teacher.save(path)
    technique = tfc.Distill(
        [path, str(path)],
        temperature=2,
        alpha=0.3,
        weights=[1, 2],
        features=[["hidden", "hidden"]],
        answers="softmax",
        seed=3,
    )
    again = tfc.Recipe.from_json(tfc.Recipe([technique]).to_json())
    assert again == [technique] and again[0].teacher == (str(path), str(path))
    student = classifier(seed=2, hidden=4)
    found = step_loss(student, [tfc.Distill(path)], x, y, FROM_LOGITS)
    wanted = step_loss(student, [tfc.Distill(teacher)], x, y, FROM_LOGITS)
    assert found == pytest.approx(wanted, rel=1e-6)


def test_a_live_teacher_is_not_written_to_json():
    with pytest.raises(ValueError, match=r"by path.*'net_0'.*teacher\.save"):
        tfc.Recipe([tfc.Distill(classifier())]).to_json()


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"teacher": 3}, TypeError, "teacher must be a Keras model, the path.*Received: 3"),
        ({"teacher": None}, TypeError, "teacher must be a Keras model"),
        ({"teacher": []}, ValueError, "at least one teacher"),
        ({"temperature": 0}, ValueError, "temperature must be above 0.*Received: temperature=0"),
        ({"temperature": "3"}, TypeError, "temperature must be a number"),
        ({"temperature": float("nan")}, ValueError, "temperature must be finite"),
        ({"alpha": 1.5}, ValueError, r"alpha.*\[0, 1\].*alpha=1.5"),
        ({"weights": (1, 2)}, ValueError, "for each of the 1 teachers"),
        ({"weights": (0,)}, ValueError, "not all 0"),
        ({"weights": (-1,)}, ValueError, "number >= 0"),
        ({"feature_weight": -1}, ValueError, "feature_weight must be >= 0"),
        ({"features": ("a", "b")}, ValueError, r"list of pairs.*features=\[\('conv'"),
        ({"features": [("a", "b", "c")]}, ValueError, "list of pairs"),
        ({"answers": "hinge"}, ValueError, "answers must be of.*'hinge'"),
        ({"where": "head"}, ValueError, "`where` and `overrides` choose weights"),
        ({"overrides": {"head": None}}, ValueError, "`where` and `overrides` choose weights"),
    ],
)
def test_bad_values_are_refused(given, error, text):
    with pytest.raises(error, match=text):
        tfc.Distill(**{"teacher": "teacher.keras", **given})


def unbuilt():
    return keras.Sequential([L.Dense(3)])


def other_inputs():
    return keras.Sequential([keras.Input((8,)), L.Dense(3)])


@pytest.mark.parametrize(
    ("teacher", "options", "text"),
    [
        (unbuilt, {}, "teacher.*is not built"),
        (other_inputs, {}, r"takes inputs of shape \[\(8,\)\].*\[\(7,\)\]"),
        (lambda: classifier(units=1), {}, r"outputs of shape \[\(None, 1\)\].*\[\(None, 3\)\]"),
        (lambda: two_heads(1, ("a", "b")), {}, "same outputs"),
        (classifier, {"features": [("conv", "hidden")]}, "teacher 'net_0' has no layer 'conv'.*hidden, head"),
        (classifier, {"features": [("hidden", "conv")]}, "student 'net_2' has no layer 'conv'"),
        (classifier, {"answers": ("softmax", "softmax")}, "one for each of the 1 outputs"),
    ],
)
def test_teachers_that_do_not_fit_are_refused(points, teacher, options, text):
    x, y = points
    with pytest.raises(ValueError, match=text):
        step_loss(classifier(seed=2), [tfc.Distill(teacher(), **options)], x, y, FROM_LOGITS)


def test_a_single_unit_without_activation_is_not_guessed(points):
    x, y = points
    student, teacher = classifier(units=1, seed=2), classifier(units=1, seed=1)
    with pytest.raises(ValueError, match="one unit without activation.*answers='softmax'"):
        step_loss(student, [tfc.Distill(teacher)], x, y.astype("float32"), "mse")
    teacher, student = classifier("softmax", seed=1), classifier("sigmoid", seed=2)
    with pytest.raises(ValueError, match="ends in sigmoid and softmax"):
        step_loss(student, [tfc.Distill(teacher)], x, y, FROM_PROBABILITIES)


def test_softmax_over_another_axis_is_refused():
    inputs = keras.Input((3, 4))
    with pytest.raises(ValueError, match="softmax over axis 1"):
        answers(keras.Model(inputs, L.Softmax(axis=1)(inputs)))


def test_features_on_different_grids_are_refused():
    def image(stride, seed):
        return keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                L.Conv2D(2, 3, strides=stride, name="conv"),
                L.Flatten(),
                L.Dense(3),
            ]
        )

    technique = tfc.Distill(image(1, 0), features=[("conv", "conv")])
    with pytest.raises(ValueError, match=r"different grids.*\(None, 6, 6, 2\).*\(None, 3, 3, 2\)"):
        Lesson(technique, image(2, 1))


def test_a_teacher_that_shares_weights_with_its_student_is_refused(points):
    x, y = points
    student = classifier(seed=2)
    teacher = keras.Model(student.inputs, student.outputs)
    for each in (teacher, student):
        with pytest.raises(ValueError, match=r"share the weights.*clone_model"):
            step_loss(student, [tfc.Distill(each)], x, y, FROM_LOGITS)


def test_a_session_may_learn_from_the_model_it_was_made_of(points):
    x, y = points
    model = classifier(seed=2)
    before = model.get_weights()
    session = tfc.compress(model, [tfc.Distill(model, alpha=0.0), tfc.Prune(0.5)], verbose=0)
    session.model.compile("adam", FROM_LOGITS)
    session.model.fit(x, y, epochs=2, verbose=0, callbacks=session.callbacks)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


STRATEGY = """
import json, sys
import numpy as np, tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import contextlib
import keras
import tfcompress as tfc

L = keras.layers
rng = np.random.default_rng(0)
x = rng.normal(size=(64, 7)).astype("float32")
y = rng.integers(0, 3, 64)


def net(seed, hidden):
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((7,)), L.Dense(hidden, "tanh", name="hidden", kernel_regularizer="l2")]
    return keras.Sequential([*layers, L.Dense(3)])


def run(scope, form):
    teacher = net(1, 6)  # outside of the scope
    recipe = [tfc.Distill(teacher, alpha=0.3, features=[("hidden", "hidden")])]
    with scope:
        student = net(2, 4)
        compression = tfc.Compression(recipe, verbose=0, learning_rate=0.02)
        model, callbacks = student, [compression]
        if form == "session":
            session = tfc.compress(student, recipe, verbose=0, learning_rate=0.02)
            model, callbacks, compression = session.model, session.callbacks, session.callback
        model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                      jit_compile=False)
    history = model.fit(x, y, batch_size=32, epochs=4, shuffle=False, verbose=0, callbacks=callbacks)
    adapter = compression.memories["Distill"].extras[0].kernels[0].numpy()
    return {"loss": history.history["loss"], "kernel": model.get_weights()[0].tolist(), "adapter": adapter.tolist(),
            "replicas": model.distribute_strategy.num_replicas_in_sync}


two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
told = {form: [run(contextlib.nullcontext(), form), run(two.scope(), form)] for form in ("place", "session")}
json.dump(told, sys.stdout)
"""


@pytest.mark.slow
def test_two_replicas_train_as_one(request):
    """MirroredStrategy over two logical CPU devices: loss, weights and adapter of a single device."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(request.config.rootpath),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", STRATEGY],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout[done.stdout.index("{") :])
    for one, two in told.values():
        assert (one["replicas"], two["replicas"]) == (1, 2)
        for key in ("loss", "kernel", "adapter"):
            np.testing.assert_allclose(two[key], one[key], rtol=2e-3, atol=2e-4)
