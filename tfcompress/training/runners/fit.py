"""Installs step functions on a model for one `fit`, so that its steps run under the operation plans."""

from collections.abc import Callable, Sequence

import keras

from tfcompress.fake_quant.patching import Member, RunningFit, StepFunctions, call_before_first_step
from tfcompress.graph.trace import build


class Fit:
    """Manages one running `fit`: installs and removes step functions that run under the operation plans.

    Args:
        run: The run.
        model: The compiled model that `fit` trains.
        callbacks: The callback list of the training; None if unknown.
        others: The other runs of the same training; their step functions are shared if they have some.
        epochs: Number of epochs.
        steps: Steps per epoch; None if unknown.
    """

    def __init__(
        self,
        run,
        model: keras.Model,
        callbacks: keras.callbacks.CallbackList | None = None,
        others: Sequence = (),
        epochs: int = 1,
        steps: int | None = None,
    ):
        self.run, self.model, self.epochs, self.steps = run, model, epochs, steps
        running = (other.fit.functions for other in others if other.is_fitted)
        self.functions = next(running, None) or StepFunctions(model, RunningFit(callbacks))
        self._member: Member | None = None
        self._known: Callable | None = None  # the train function that is ours, or that calls ours

    @property
    def is_running(self) -> bool:
        """Whether this `fit` is running; after an exception it no longer is."""
        return self.functions.is_running

    def start(self) -> None:
        """Installs the step functions; on a model that only its first batch can build, at that batch."""
        if self.run.network is not None:
            self._begin()
        else:
            call_before_first_step(self.model, self.functions.training, self._meet)

    def _begin(self):
        run = self.run
        run.prepare(self.epochs, self.steps)
        self._member = Member(run.network, run.laid(), run.overrides, run.before_step, self._after_call)
        self.functions.members.append(self._member)
        self._install()

    def _install(self):
        self.functions.install()
        self._known = self.model.train_function

    def _meet(self, batch):
        """Builds a model with its first batch, and makes the plan for it."""
        build(self.model, batch)
        self.run.attach_network(self.model)
        self._begin()
        self.run.begin_epoch(self.run.epoch)

    def _after_call(self):
        self.run.after_step(self.model.steps_per_execution)

    def follow(self) -> None:
        """Installs the step functions again if another callback compiled the model anew or changed which layers train.

        If layers have become trainable, the plan is made anew and printed.
        """
        if self._member is None or self.model.train_function is self._known:
            return
        if self.run.renew():
            self._member.state = self.run.laid()
            self.run.start_late()
            self.run.plan.tell(self.run.verbose)
        elif self.functions.are_installed():
            self._known = self.model.train_function
            return
        self._install()

    def remove(self) -> None:
        """Removes the step functions from the model."""
        self.functions.remove()
