"""Computes the distillation loss between teachers and a student, with adapters between features of unequal width."""

import keras
import numpy as np
import tensorflow as tf

from tfcompress.distillation.teachers import (
    LINEAR,
    LOGITS,
    SOFTMAX,
    answers,
    feature_shape,
    find_path,
    run_teacher,
    soft_loss,
    to_logits,
    weighted_mean,
)
from tfcompress.export.loading import load_model
from tfcompress.fake_quant.transforms.taps import record_gradient
from tfcompress.graph.keras_private import full_precision, input_triples
from tfcompress.graph.tree import is_built, leaves


class Lesson(keras.layers.Layer):
    """Holds the teachers of a student, and an adapter for each pair of features of unequal width.

    Args:
        technique: The `Distill`.
        student: The model that trains, built.

    Raises:
        ValueError: If a teacher does not fit the student.
    """

    def __init__(self, technique, student: keras.Model):
        super().__init__(name="lesson", dtype="float32", trainable=False)
        # hidden from Keras, so that teachers are neither saved nor counted among the weights
        self.__dict__["teachers"] = [load_model(t) if isinstance(t, str) else t for t in technique.teacher]
        self.__dict__["technique"] = technique
        self.names = list(getattr(student, "output_names", None) or [])
        for teacher in self.teachers:
            _check_pair(teacher, student)
        self.mine, self.theirs = answers(student), [answers(t) for t in self.teachers]
        for teacher, their in zip(self.teachers, self.theirs, strict=True):
            _check_outputs(teacher, their, student, self.mine)
        self.kinds = _kinds(technique.answers, student, self.mine, self.theirs)
        self.pairs = [self._pair(pair, student) for pair in technique.features]
        self.kernels, self.gradients = [], []
        for k, (theirs, mine) in enumerate(self.pairs):
            self._adapter(k, feature_shape(self.teachers[0], theirs), feature_shape(student, mine))
        self.built = True

    def _pair(self, pair, student):
        found = []
        for role, model, key in zip(("teacher", "student"), (self.teachers[0], student), pair, strict=True):
            path = find_path(model, key)
            if path is None:
                raise ValueError(
                    f"Distill: the {role} {model.name!r} has no layer {key!r} (or several of that "
                    f"name: give the path). Received: features with {key!r}. "
                    f"It has: {', '.join(p for p, _ in leaves(model))}."
                )
            found.append(path)
        return tuple(found)

    def _adapter(self, k, theirs, mine):
        if theirs[1:-1] != mine[1:-1]:
            raise ValueError(
                f"Distill: the features of pair {k} lie on different grids: teacher {theirs}, "
                f"student {mine}. Choose layers whose outputs have the same height and width."
            )
        shape = (mine[-1], theirs[-1])
        kernel = gradient = None
        if shape[0] != shape[1]:
            rng = np.random.default_rng([self.technique.seed, k])
            limit = (6.0 / sum(shape)) ** 0.5  # Glorot's uniform start
            start = rng.uniform(-limit, limit, shape).astype("float32")
            common = {"shape": shape, "aggregation": "mean"}
            # trainable in the eyes of gradient tapes; no model lists it
            kernel = self.add_weight(name=f"adapter_{k}", initializer=lambda *_, **__: tf.constant(start), **common)
            gradient = self.add_weight(name=f"gradient_{k}", initializer="zeros", trainable=False, **common)
        self.kernels.append(kernel)
        self.gradients.append(gradient)

    def loss(self, x, y_pred, features: dict, sample_weight):
        """Returns the teachers' part of the loss, a scalar; arguments as for `Distill.loss`."""
        t = self.technique
        shares = t.weights or (1.0,) * len(self.teachers)
        total = 0.0
        for k, (teacher, share) in enumerate(zip(self.teachers, shares, strict=True)):
            pairs = self.pairs if k == 0 else []
            outputs, theirs = run_teacher(teacher, x, tuple(a for a, _ in pairs))
            soft = self._soft(outputs, self.theirs[k], y_pred, sample_weight)
            total += (1 - t.alpha) * share / sum(shares) * soft
            for n, (a, b) in enumerate(pairs):
                total += t.feature_weight * self.distance(n, theirs[a], features[b])
        return total

    def _soft(self, outputs, theirs, y_pred, sample_weight):
        total = 0.0
        students = keras.tree.flatten(y_pred)
        weights = self._by_output(sample_weight, y_pred, len(students))
        for k, (a, b) in enumerate(zip(outputs, students, strict=True)):
            kind = self.kinds[k]
            mask = getattr(b, "_keras_mask", None)
            if kind == LINEAR:
                a, b = tf.cast(a, tf.float32), tf.cast(b, tf.float32)
            else:
                a, b = to_logits(a, theirs[k].ending), to_logits(b, self.mine[k].ending)
            each = soft_loss(a, b, self.technique.temperature, kind)
            total += weighted_mean(each, weights[k], mask)
        return total

    def _by_output(self, sample_weight, y_pred, count: int) -> list:
        """Returns the sample weights of each output: one array for all, or one each, by position or by name."""
        if isinstance(sample_weight, dict):
            names = sorted(y_pred) if isinstance(y_pred, dict) else self.names
            return [sample_weight.get(name) for name in names]
        if isinstance(sample_weight, (list, tuple)):
            return list(sample_weight)
        return [sample_weight] * count

    def distance(self, k: int, theirs, mine):
        """Returns the mean squared difference of a pair of features, the student's through its adapter."""
        theirs, mine = tf.cast(theirs, tf.float32), tf.cast(mine, tf.float32)
        if self.kernels[k] is not None:
            kernel = record_gradient(full_precision(self.kernels[k]), self.gradients[k])
            mine = tf.tensordot(mine, kernel, 1)
        return tf.reduce_mean(tf.square(theirs - mine))

    def own_weights(self):
        """Returns the pairs (adapter, recorded gradient), which the compression's own optimizer trains."""
        return [(k, g) for k, g in zip(self.kernels, self.gradients, strict=True) if k is not None]


def _check_pair(teacher, student):
    if not is_built(teacher):
        raise ValueError(f"Distill: teacher {teacher.name!r} is not built. Call it once on a batch of data.")
    held = {id(v) for v in student.variables}
    shared = [v.path for v in teacher.variables if id(v) in held]
    if shared:
        raise ValueError(
            f"Distill: teacher {teacher.name!r} and student {student.name!r} share the weights "
            f"{shared[:3]}{' and more' if len(shared) > 3 else ''}, so the teacher would change "
            "while it teaches. Give it weights of its own (keras.models.clone_model, set_weights)."
        )
    theirs, mine = ([s for _, s, _ in input_triples(m)] for m in (teacher, student))
    if len(theirs) != len(mine) or not all(map(_agree, theirs, mine)):
        raise ValueError(
            f"Distill: teacher {teacher.name!r} takes inputs of shape {theirs}, the student "
            f"{student.name!r} {mine}. Both get the same batch: put what differs (Resizing, "
            "Rescaling) into the teacher as layers."
        )


def _agree(a, b) -> bool:
    """Returns whether two shapes agree where both are known."""
    return len(a) == len(b) and all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))


def _check_outputs(teacher, theirs, student, mine):
    shapes = [[a.shape for a in each] for each in (theirs, mine)]
    fits = len(theirs) == len(mine) and all(
        a is None or b is None or _agree(a, b) for a, b in zip(*shapes, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Distill: teacher {teacher.name!r} has outputs of shape {shapes[0]}, the student "
            f"{student.name!r} {shapes[1]}. Give a teacher with the same outputs."
        )


def _kinds(asked, student, mine, theirs) -> list[str]:
    """Returns the kind of each output of the student: "softmax", "sigmoid" or "linear"."""
    if asked is not None:
        asked = (asked,) * len(mine) if isinstance(asked, str) else asked
        if len(asked) != len(mine):
            raise ValueError(
                f"Distill: answers must be one word, or one for each of the {len(mine)} outputs "
                f"of {student.name!r}. Received: answers={asked}."
            )
        return list(asked)
    kinds = []
    for k, answer in enumerate(mine):
        known = sorted({a.ending for a in (answer, *(t[k] for t in theirs))} - {LOGITS})
        if len(known) > 1 or not known and answer.shape is not None and answer.shape[-1] == 1:
            what = "ends in " + " and ".join(known) if known else "is one unit without activation"
            raise ValueError(
                f"Distill: output {k} of {student.name!r} and its teachers {what}, so it is not "
                "clear what it means. Choose one: answers='softmax', 'sigmoid' (each unit a "
                "probability of its own) or 'linear' (plain numbers)."
            )
        kinds.append(known[0] if known else SOFTMAX)
    return kinds
