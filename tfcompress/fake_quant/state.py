"""All that a compression remembers; saved with the model, but not part of it."""

import threading
from collections.abc import Sequence

import keras

from tfcompress.fake_quant.op_plan import OpPlan, WeightChain
from tfcompress.fake_quant.transforms.base import Transform
from tfcompress.fake_quant.transforms.ranges import ActivationRange
from tfcompress.graph.rebuild import attach, attached

NAME = "tfcompress_state"


class CompressionState(keras.layers.Layer):
    """The state of one model's compression.

    Hung on the model with `hang`, it travels with `save_weights`, `ModelCheckpoint` and
    `BackupAndRestore`, while `model.weights`, `model.layers` and the `.keras` file of the plain
    model stay what they were.

    Args:
        plans: One for each treated operation.
        inputs: Ranges of the model's inputs, None where an input has none.
        extras: Further state of techniques: snapshots, adapters.
        own: Pairs (variable, noted gradient) of the extras that train by the state's optimizer.
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
        """Returns the chains of all treated weights, in graph order."""
        return [chain for t in self.op_plans for chain in t.chains.values()]

    def _distinct_ranges(self) -> list[ActivationRange]:
        spans = list(self.inputs)
        for t in self.op_plans:
            spans += t.ranges().values()
        return list({id(s): s for s in spans if s is not None}.values())

    def hang(self, model: keras.Model) -> None:
        """Attaches the state to a model."""
        attach(model, NAME, self)

    @staticmethod
    def of(model: keras.Model) -> "CompressionState | None":
        """Returns the state attached to a model, or None."""
        return attached(model, NAME)

    def own_weights(self) -> list[tuple]:
        """Returns the pairs (variable, noted gradient) that train by an optimizer of their own."""
        return [*(pair for span in self.ranges for pair in span.own_weights()), *self.own]

    def prepare_optimizer(self, learning_rate: float, before: "CompressionState | None" = None) -> None:
        """Makes the optimizer of what is not the model's, or takes over that of a state with the same variables.

        It is saved with the state.
        """
        own = [variable for variable, _ in self.own_weights()]
        if own and before is not None and list(map(id, own)) == [id(v) for v, _ in before.own_weights()]:
            self.__dict__["optimizer"] = before.optimizer
        elif own:
            self.__dict__["optimizer"] = keras.optimizers.Adam(learning_rate)
            self.optimizer.build(own)

    def train_own(self) -> None:
        """Steps that optimizer by the gradients noted since the last time."""
        pairs = self.own_weights()
        if pairs:
            self.optimizer.apply([g.value for _, g in pairs], [v for v, _ in pairs])
            for _, gradient in pairs:
                gradient.assign(keras.ops.zeros_like(gradient))

    def features(self) -> dict[str, object]:
        """Returns by path the outputs that were kept for a feature loss in the pass of this thread."""
        here = threading.get_ident()
        return {t.path: t.features[here] for t in self.op_plans if here in t.features}

    def forget_features(self) -> None:
        """Lets go of them, and so of the graph they belong to."""
        for t in self.op_plans:
            t.features.pop(threading.get_ident(), None)

    def bake(self) -> None:
        """Writes every lasting transform into its weight."""
        for plan in self.op_plans:
            plan.bake()

    def find(self, kind: type[Transform]) -> list[tuple[OpPlan, WeightChain, Transform]]:
        """Returns every transform of a type, with where it lies."""
        return [
            (t, c, x) for t in self.op_plans for c in t.chains.values() for x in c.transforms if isinstance(x, kind)
        ]

    def count_with(self, counter) -> None:
        """Names who counts: `write` is called before the counters are saved, `read` after loading.

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
