"""Adds the losses and penalties of techniques to the loss of a model.

`compute_loss` is replaced only while a train step runs. A custom `train_step` that never calls
`compute_loss` would train without these terms, so that is an error after the first step.
"""

import inspect

import keras
import tensorflow as tf

from tfcompress.training.plan import Plan


class Objective:
    """Adds the losses and penalties of techniques to a model's loss.

    Args:
        model: The compiled model.
        techniques: Techniques; those that add a loss or a penalty take part.
        plan: The plan: its kernels by technique, and its state, which trains variables of its own
            (learned ranges, adapters).
        memories: Technique name to what it remembers of the model.
    """

    def __init__(self, model: keras.Model, techniques: list, plan: Plan, memories: dict):
        self.model, self.kernels, self.memories = model, plan.kernels, memories
        self.state = plan.state
        self.techniques = list(techniques)
        self.losses = [t for t in self.techniques if t.adds_loss]
        self.penalized = [t for t in self.techniques if t.adds_penalty]
        self.was_reached = False

    def change(self, plan: Plan) -> None:
        """Continues with another plan; whether the train function calls `compute_loss` is checked again."""
        self.kernels, self.state, self.was_reached = plan.kernels, plan.state, False

    @property
    def is_needed(self) -> bool:
        """Whether any technique adds a term."""
        return bool(self.losses or self.penalized)

    def overrides(self, own: bool = True) -> tuple:
        """Returns the methods to replace during a train step, as `(model, name, function)`.

        Args:
            own: Whether the state's own variables (learned ranges, adapters) train in the model's `train_step`.
        """
        changes = []
        if self.is_needed:
            changes.append((self.model, "compute_loss", self._around(self.model.compute_loss)))
        if own and self.state.own_weights() and not self._has_replicas:
            changes.append((self.model, "train_step", self._with_own(self.model.train_step)))
        return tuple(changes)

    @property
    def _has_replicas(self) -> bool:
        """Whether several copies train; the sums of two optimizers would collide in one step."""
        return self.model.distribute_strategy.num_replicas_in_sync > 1

    def _with_own(self, plain):
        """Returns a train step that trains the state's own variables (learned ranges, adapters) as well."""

        def train_step(*args, **kwargs):
            outputs = plain(*args, **kwargs)
            self.state.train_own()
            return outputs

        return train_step

    def after_step(self, trains_own: bool = False) -> None:
        """Checks that the step computed the loss, and trains the state's own variables where the step could not.

        The step of several replicas, or of a user's loop, can't train them.

        Raises:
            ValueError: If the step never called `compute_loss`.
        """
        self.check_reached()
        if self._has_replicas or trains_own:
            self.state.train_own()

    def check_reached(self) -> None:
        """Raises an error if a train step never called `compute_loss` although techniques add to it.

        Raises:
            ValueError: In that case.
        """
        if self.is_needed and not self.was_reached:
            names = ", ".join(t.name for t in [*self.losses, *self.penalized])
            raise ValueError(
                f"{names} add to the loss, but the train_step of model {self.model.name!r} "
                f"({type(self.model).__name__}), or the loop around it, never calls self.compute_loss(x=x, y=y, "
                "y_pred=y_pred, sample_weight=...). Call it there, or leave these techniques out."
            )

    def _around(self, plain):
        signature = inspect.signature(plain)

        def compute_loss(*args, **kwargs):
            self.was_reached = True
            total = plain(*args, **kwargs)
            given = signature.bind_partial(*args, **kwargs).arguments
            share = 1.0 / tf.distribute.get_strategy().num_replicas_in_sync
            for t in self.losses:
                features = self.state.features()
                extra = t.loss(
                    self.memories[t.name],
                    given.get("x"),
                    given.get("y_pred"),
                    features,
                    given.get("sample_weight"),
                )
                own = [tf.cast(tf.reduce_sum(part), total.dtype) for part in self.model.losses]
                regularization = share * tf.add_n(own) if own else tf.zeros((), total.dtype)
                total = t.mix(total, regularization, tf.cast(extra * share, total.dtype))
            for t in self.penalized:
                penalty = t.penalty(self.kernels[t.name])
                if penalty is not None:
                    total = total + tf.cast(penalty * share, total.dtype)
            self.state.forget_features()
            return total

        # Keras looks in the signature whether `training` may be passed
        vars(compute_loss)["__signature__"] = signature
        return compute_loss
