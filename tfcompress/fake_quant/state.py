"""The state of a compression: plans, step counters and optimizer; saved with the model, but none of its layers."""

import threading
from collections.abc import Sequence

import keras

from tfcompress.fake_quant.op_plan import OpPlan, WeightChain
from tfcompress.fake_quant.transforms.base import Transform
from tfcompress.fake_quant.transforms.ranges import ActivationRange
from tfcompress.graph.rebuild import attach, attached

NAME = "tfcompress_state"


class CompressionState(keras.layers.Layer):
    """The state of the compression of one model.

    Attached to the model with `hang`, it is saved by `save_weights`, `ModelCheckpoint` and
    `BackupAndRestore`, while `model.weights`, `model.layers` and the `.keras` file of the plain
    model stay what they were.

    Args:
        plans: One plan for each compressed operation.
        inputs: Ranges of the model's inputs, None where an input has none.
        extras: Further state of techniques: snapshots, adapters.
        own: Pairs (variable, recorded gradient) of the extras that the state's optimizer trains.
    """

    def __init__(
        self,
        plans: Sequence[OpPlan] = (),
        inputs: Sequence = (),
        extras: Sequence = (),
        own: Sequence = (),
    ):
        super().__init__(name=NAME, dtype="float32", trainable=False)
        self.step = self.add_weight(name="step", shape=(), initializer="zeros", dtype="int64", trainable=False)
        self.total = self.add_weight(name="total", shape=(), initializer="zeros", dtype="int64", trainable=False)
        self.progress = self.add_weight(name="progress", shape=(), initializer="zeros", trainable=False)
        self.__dict__["op_plans"], self.__dict__["inputs"] = list(plans), list(inputs)
        self.__dict__["own"], self.__dict__["counter"] = list(own), None
        self.transforms = [t for c in self.chains() for t in c.transforms]
        self.ranges = self._distinct_ranges()
        self.extras = list(extras)
        self.built = True

    def chains(self) -> list[WeightChain]:
        """Returns the chains of all weights with transforms, in graph order."""
        return [chain for t in self.op_plans for chain in t.chains.values()]

    def _distinct_ranges(self) -> list[ActivationRange]:
        spans = list(self.inputs)
        for t in self.op_plans:
            spans += t.ranges().values()
        return list({id(s): s for s in spans if s is not None}.values())

    def attach_to(self, model: keras.Model) -> None:
        """Attaches the state to a model."""
        attach(model, NAME, self)

    @staticmethod
    def of(model: keras.Model) -> "CompressionState | None":
        """Returns the state attached to a model, or None."""
        return attached(model, NAME)

    def own_weights(self) -> list[tuple]:
        """Returns the pairs (variable, recorded gradient) that the state's own optimizer trains."""
        return [*(pair for span in self.ranges for pair in span.own_weights()), *self.own]

    def prepare_optimizer(self, learning_rate: float, before: "CompressionState | None" = None) -> None:
        """Creates the state's optimizer, or takes over that of a state with the same variables.

        It trains the variables of `own_weights`, which are not the model's, and is saved with the state.
        """
        own = [variable for variable, _ in self.own_weights()]
        if own and before is not None and list(map(id, own)) == [id(v) for v, _ in before.own_weights()]:
            self.__dict__["optimizer"] = before.optimizer
        elif own:
            self.__dict__["optimizer"] = keras.optimizers.Adam(learning_rate)
            self.optimizer.build(own)

    def train_own(self) -> None:
        """Applies the state's optimizer to the gradients recorded since the last call."""
        pairs = self.own_weights()
        if pairs:
            self.optimizer.apply([g.value for _, g in pairs], [v for v, _ in pairs])
            for _, gradient in pairs:
                gradient.assign(keras.ops.zeros_like(gradient))

    def features(self) -> dict[str, object]:
        """Returns the outputs kept for a feature loss in this thread's forward pass, by the path of the operation."""
        here = threading.get_ident()
        return {t.path: t.features[here] for t in self.op_plans if here in t.features}

    def forget_features(self) -> None:
        """Releases the kept outputs, and with them the graph they belong to."""
        for t in self.op_plans:
            t.features.pop(threading.get_ident(), None)

    def bake(self) -> None:
        """Writes every lasting transform into its weight."""
        for plan in self.op_plans:
            plan.bake()

    def find(self, kind: type[Transform]) -> list[tuple[OpPlan, WeightChain, Transform]]:
        """Returns every transform of a type, with its plan and its chain."""
        return [
            (t, c, x) for t in self.op_plans for c in t.chains.values() for x in c.transforms if isinstance(x, kind)
        ]

    def set_counter(self, counter) -> None:
        """Sets the step counter: its `write` is called before the counters are saved, its `read` after loading.

        Assigning variables in every step would cost more than a small step itself.
        """
        self.__dict__["counter"] = counter

    def save_own_variables(self, store):
        """Saves the counters as they are now."""
        if self.counter is not None:
            self.counter.write()
        super().save_own_variables(store)

    def load_own_variables(self, store):
        """Loads the counters; a file written without compression leaves them as they are."""
        if len(store.keys()):
            super().load_own_variables(store)
            if self.counter is not None:
                self.counter.read()
