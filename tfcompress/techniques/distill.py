"""Distill: one or several teachers, whose answers the model learns beside the labels.

Soft and hard targets after Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015; features with
an adapter where widths differ after Romero et al., "FitNets", 2015.
"""

import os
from dataclasses import dataclass
from functools import cache

import keras
import tensorflow as tf

from tfcompress.deploy.loading import load_model
from tfcompress.mechanics.graph import full_precision
from tfcompress.mechanics.transforms.taps import note_gradient
from tfcompress.techniques.base import Memory, Technique
from tfcompress.techniques.teaching import endings, feature_shape, run_teacher, soft_loss, to_logits


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class Distill(Technique):
    """Adds what teachers say to the loss: `alpha * hard + (1 - alpha) * soft + features`.

    Args:
        teacher: A built model, the path of one (needed to write the recipe to JSON), or a list of these.
        temperature: Softens both answers, above 0.
        alpha: Weight of the labels' loss, 0..1; the teachers' is `1 - alpha`.
        weights: One weight for each teacher; None for equal ones. Only their ratio counts.
        features: Pairs `(teacher layer, student layer)` whose outputs shall be alike, of the first teacher.
        feature_weight: Weight of the mean squared difference of a pair.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> import keras, tfcompress as tfc
        >>> teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> tfc.Distill(teacher, temperature=3, alpha=0.2).alpha
        0.2
    """

    teacher: object = None
    temperature: float = 3.0
    alpha: float = 0.1
    weights: tuple[float, ...] | None = None
    features: tuple[tuple[str, str], ...] = ()
    feature_weight: float = 1.0

    def __post_init__(self):
        """Validates and stores lists as tuples."""
        teachers = self.teacher if isinstance(self.teacher, (list, tuple)) else (self.teacher,)
        for t in teachers:
            if not isinstance(t, (keras.Model, str, os.PathLike)):
                raise TypeError(
                    "Distill: teacher must be a Keras model, the path of one, or a list of these. "
                    f"Received: {t!r} of type {type(t).__name__}."
                )
        object.__setattr__(self, "teacher", tuple(os.fspath(t) if isinstance(t, os.PathLike) else t for t in teachers))
        object.__setattr__(self, "features", tuple(tuple(pair) for pair in self.features))
        if self.weights is not None:
            object.__setattr__(self, "weights", tuple(float(w) for w in self.weights))
        self._check()

    def _check(self):
        if not self.temperature > 0:
            raise ValueError(f"Distill: temperature must be above 0. Received: temperature={self.temperature}.")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"Distill: alpha, the weight of the labels, must be in [0, 1]. Received: alpha={self.alpha}.")
        if self.weights is not None and (len(self.weights) != len(self.teacher) or min(self.weights) < 0 or not sum(self.weights)):
            raise ValueError(
                f"Distill: weights must be one number >= 0 for each of the {len(self.teacher)} teachers, not all 0. "
                f"Received: weights={self.weights}."
            )
        if self.feature_weight < 0:
            raise ValueError(f"Distill: feature_weight must be >= 0. Received: feature_weight={self.feature_weight}.")
        if any(len(pair) != 2 for pair in self.features):
            raise ValueError(
                f"Distill: features must be pairs (teacher layer, student layer). Received: features={self.features}."
            )

    def get_config(self) -> dict:
        """Fields; teachers by their paths.

        Raises:
            ValueError: If a teacher is a live model.
        """
        live = [t.name for t in self.teacher if isinstance(t, keras.Model)]
        if live:
            raise ValueError(
                f"Distill: a recipe in JSON names its teachers by path, it can't hold the live models {live}. "
                "Save them (teacher.save('teacher.keras')) and use tfc.Distill('teacher.keras')."
            )
        return super().get_config()

    @property
    def teachers(self) -> list[keras.Model]:
        """The teachers, loaded where a path was given."""
        return [_loaded(t) if isinstance(t, str) else t for t in self.teacher]

    def captured(self) -> tuple[str, ...]:
        """Paths of the student's layers whose outputs the loss needs."""
        return tuple(student for _, student in self.features)

    def extras(self, model: keras.Model) -> list[keras.layers.Layer]:
        """Checks that teachers and student fit, and makes the adapters."""
        return [Lesson(self, model)]

    def loss(self, memory: Memory, x, y_pred, features: dict, sample_weight):
        """Returns the teachers' part of the loss, a scalar.

        Args:
            memory: What `extras` made for this model.
            x: The batch.
            y_pred: The student's outputs.
            features: The student's features by path.
            sample_weight: Weights of the samples, or None.

        Raises:
            ValueError: If a custom train_step passed no `x` to `compute_loss`.
        """
        if x is None:
            raise ValueError(
                "Distill needs the inputs: call self.compute_loss(x=x, y=y, y_pred=y_pred, ...) in your train_step, with x."
            )
        (lesson,) = memory.extras
        shares = self.weights or (1.0,) * len(self.teacher)
        total = 0.0
        for k, (teacher, share) in enumerate(zip(lesson.teachers, shares, strict=True)):
            wanted = tuple(pair[0] for pair in self.features) if k == 0 else ()
            outputs, theirs = run_teacher(teacher, x, wanted)
            total += (1 - self.alpha) * share / sum(shares) * self._soft(lesson, k, outputs, y_pred, sample_weight)
            for n, (path, mine) in enumerate(self.features if k == 0 else ()):
                total += self.feature_weight * lesson.distance(n, theirs[path], features[mine])
        return total

    def _soft(self, lesson, k, outputs, y_pred, sample_weight):
        total = 0.0
        students = keras.tree.flatten(y_pred)
        for a, b, end_a, end_b in zip(outputs, students, lesson.endings[k], lesson.ending, strict=True):
            each = soft_loss(to_logits(a, end_a), to_logits(b, end_b), self.temperature, end_b)
            if sample_weight is not None and not isinstance(sample_weight, (list, tuple, dict)):
                each *= tf.reshape(tf.cast(sample_weight, each.dtype), (tf.shape(each)[0], -1))[:, 0]
            total += tf.reduce_mean(each)
        return total

    def mix(self, total, regularization, extra):
        """Returns the loss of a step: the labels' part by `alpha`, regularization as it was, and the teachers' part."""
        return self.alpha * (total - regularization) + regularization + extra


@cache
def _loaded(path: str) -> keras.Model:
    return load_model(path)


class Lesson(keras.layers.Layer):
    """Teachers and student brought together: what each output is, and adapters between features of different width."""

    def __init__(self, technique: Distill, student: keras.Model):
        super().__init__(dtype="float32", trainable=False)
        # teachers are not part of what is saved, nor of anybody's weights
        self.__dict__["teachers"] = technique.teachers
        self.ending = endings(student)
        self.endings = [endings(t) for t in self.teachers]
        for teacher, their in zip(self.teachers, self.endings, strict=True):
            if len(their) != len(self.ending):
                raise ValueError(
                    f"Distill: teacher {teacher.name!r} has {len(their)} outputs, the student {student.name!r} has {len(self.ending)}. "
                    "Give a teacher with the same outputs."
                )
        self.kernels, self.gradients = [], []
        for k, pair in enumerate(technique.features):
            self._adapter(k, feature_shape(self.teachers[0], pair[0], "teacher"), feature_shape(student, pair[1], "student"))
        self.built = True

    def _adapter(self, k, theirs, mine):
        if theirs[1:-1] != mine[1:-1]:
            raise ValueError(
                f"Distill: the features of pair {k} lie on different grids: teacher {theirs}, student {mine}. "
                "Choose layers whose outputs have the same height and width."
            )
        shape = (mine[-1], theirs[-1])
        # widths that agree still get an adapter where FitNets has one only if they differ
        needed = shape[0] != shape[1]
        self.kernels.append(self.add_weight(name=f"adapter_{k}", shape=shape, initializer="glorot_uniform") if needed else None)
        self.gradients.append(self.add_weight(name=f"gradient_{k}", shape=shape, initializer="zeros") if needed else None)

    def distance(self, k: int, theirs, mine):
        """Returns the mean squared difference of a pair of features, the student's through its adapter."""
        theirs, mine = tf.cast(theirs, tf.float32), tf.cast(mine, tf.float32)
        if self.kernels[k] is not None:
            kernel = note_gradient(full_precision(self.kernels[k]), self.gradients[k])
            mine = tf.tensordot(mine, kernel, 1)
        return tf.reduce_mean(tf.square(theirs - mine))

    def own_weights(self):
        """Returns the pairs (adapter, noted gradient) that need an optimizer of their own."""
        return [(k, g) for k, g in zip(self.kernels, self.gradients, strict=True) if k is not None]
