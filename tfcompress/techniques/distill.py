"""Distill: knowledge distillation trains the model on the outputs of teachers beside the labels.

Soft and hard targets after Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015; features
with an adapter where widths differ after Romero et al., "FitNets", 2015.
"""

import os
from dataclasses import dataclass
from typing import Any

import keras

from tfcompress.distillation.distill_loss import Lesson
from tfcompress.distillation.teachers import LINEAR, SIGMOID, SOFTMAX, find_path
from tfcompress.techniques.base import Memory, Technique
from tfcompress.text.printable import shown
from tfcompress.validation import checks

_KINDS = (SOFTMAX, SIGMOID, LINEAR)


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class Distill(Technique):
    """Adds a distillation loss of one or several teachers: `alpha * hard + (1 - alpha) * soft + features`.

    Args:
        teacher: A built model, the path of one (needed to write the recipe to JSON), or a list of
            these. It gets the student's batches and has the student's outputs.
        temperature: Temperature of the softmax or sigmoid of teachers and student, above 0.
        alpha: Weight of the loss on labels, 0..1; that of the teachers' loss is `1 - alpha`. The
            loss of regularizers keeps its weight.
        weights: One weight for each teacher; None for equal ones. Only their ratio counts.
        features: Pairs `(teacher layer, student layer)`, by path or unique name, whose outputs are
            trained to be alike; layers of the first teacher.
        feature_weight: Weight of the mean squared difference of a pair.
        answers: What the outputs are: "softmax" (one of several classes), "sigmoid" (each unit a
            probability of its own), "linear" (numbers; mean squared difference), or one of these
            for each output. None infers it from the last layers; logits count as "softmax".
        seed: Seed of the adapters' initial weights.

    Raises:
        TypeError: If a value is of the wrong type.
        ValueError: If a value is out of range.

    Example:
        >>> import keras, tfcompress as tfc
        >>> teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> tfc.Distill(teacher, temperature=3, alpha=0.2).alpha
        0.2
    """

    teacher: Any = None
    temperature: float = 3.0
    alpha: float = 0.1
    weights: tuple[float, ...] | None = None
    features: tuple[tuple[str, str], ...] = ()
    feature_weight: float = 1.0
    answers: str | tuple[str, ...] | None = None
    seed: int = 0

    is_saved = False  # a live teacher can't be written, and only training needs it

    def __post_init__(self) -> None:
        """Validates and stores lists as tuples; there is no `where` to store."""
        given = self.teacher if isinstance(self.teacher, (list, tuple)) else (self.teacher,)
        for t in given:
            if not isinstance(t, (keras.Model, str, os.PathLike)):
                raise TypeError(
                    "Distill: teacher must be a Keras model, the path of one, or a list of these. "
                    f"Received: {shown(t)} of type {type(t).__name__}."
                )
        if not given:
            raise ValueError("Distill: teacher: at least one teacher is needed. Received: teacher=[].")
        teachers = (t if isinstance(t, keras.Model) else checks.path("Distill", "teacher", t) for t in given)
        self.set(
            teacher=tuple(teachers),
            temperature=checks.number("Distill", "temperature", self.temperature, above=0),
            alpha=checks.number("Distill", "alpha", self.alpha, least=0, most=1),
            feature_weight=checks.number("Distill", "feature_weight", self.feature_weight, least=0),
            features=_pairs(self.features),
            seed=checks.seed("Distill", self.seed),
        )
        self._check_weights()
        self._check_answers()
        if self.where is not None or self.overrides is not None:
            raise ValueError(
                "Distill: the loss is the whole model's, `where` and `overrides` choose weights. "
                f"Received: where={shown(self.where)}, overrides={shown(self.overrides)}. Leave them out; "
                "`features` names layers."
            )

    def _check_weights(self) -> None:
        if self.weights is None:
            return
        wanted = f"one number >= 0 for each of the {len(self.teacher)} teachers, not all 0"
        given = checks.held(self.weights)
        if given is None or isinstance(self.weights, set | frozenset):
            checks.refuse(TypeError, "Distill", "weights", wanted, self.weights)
        weights = tuple(checks.number("Distill", "weights", w, least=0, accepted=wanted) for w in given)
        if len(weights) != len(self.teacher) or not sum(weights):
            checks.refuse(ValueError, "Distill", "weights", wanted, self.weights)
        self.set(weights=weights)

    def _check_answers(self) -> None:
        if self.answers is None:
            return
        asked = (self.answers,) if isinstance(self.answers, str) else self.answers
        if not isinstance(asked, tuple | list):
            checks.refuse(TypeError, "Distill", "answers", f"of {_KINDS}, or one for each output", self.answers)
        if not asked or not all(isinstance(each, str) and each in _KINDS for each in asked):
            checks.refuse(ValueError, "Distill", "answers", f"of {_KINDS}", self.answers)
        if not isinstance(self.answers, str):
            self.set(answers=tuple(asked))

    def get_config(self) -> dict:
        """Returns the fields, with teachers by their paths.

        Raises:
            ValueError: If a teacher is a live model.
        """
        live = [t.name for t in self.teacher if isinstance(t, keras.Model)]
        if live:
            raise ValueError(
                "Distill: a recipe in JSON names its teachers by path, it can't hold the live "
                f"models {live}. Save them (teacher.save('teacher.keras')) and use "
                "tfc.Distill('teacher.keras')."
            )
        return super().get_config()

    def captured(self, model: keras.Model) -> tuple[str, ...]:
        """Returns the paths of the student's layers whose outputs the loss needs."""
        return tuple(find_path(model, student) for _, student in self.features)

    def extras(self, model: keras.Model) -> list[keras.layers.Layer]:
        """Loads the teachers, checks that they fit the student, and makes the adapters."""
        return [Lesson(self, model)]

    def own_weights(self, extras: list) -> list[tuple]:
        """Returns the weights of the adapters with their gradients."""
        return [pair for lesson in extras for pair in lesson.own_weights()]

    def loss(self, memory: Memory, x: Any, y_pred: Any, features: dict, sample_weight: Any) -> Any:
        """Returns the teachers' part of the loss, a scalar.

        Args:
            memory: Holds the layers that `extras` made for this model.
            x: The batch.
            y_pred: The student's outputs.
            features: The student's features by path.
            sample_weight: Weights of the samples, or None.

        Raises:
            ValueError: If a custom train_step passed no `x` or `y_pred` to `compute_loss`.
        """
        if x is None or y_pred is None:
            raise ValueError(
                "Distill needs the inputs and the outputs: call self.compute_loss(x=x, y=y, "
                "y_pred=y_pred, ...) in your train_step."
            )
        return memory.extras[0].loss(x, y_pred, features, sample_weight)

    def mix(self, total: Any, regularization: Any, extra: Any) -> Any:
        """Returns the loss of a step: that on labels times `alpha`, that of regularizers, that of the teachers."""
        return self.alpha * (total - regularization) + regularization + extra


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, tuple | list):
        checks.refuse(TypeError, "Distill", "features", "a list of pairs (teacher layer, student layer)", value)
    return tuple(_pair(each) for each in value)


def _pair(pair: Any) -> tuple[str, str]:
    is_pair = isinstance(pair, (list, tuple)) and len(pair) == 2
    if not is_pair or not all(isinstance(name, str) for name in pair):
        raise ValueError(
            "Distill: features must be a list of pairs (teacher layer, student layer). "
            f"Received: {shown(pair)} in it. For one pair: features=[('conv', 'conv')]."
        )
    teacher, student = (checks.text("Distill", "features", name) for name in pair)
    return teacher, student
