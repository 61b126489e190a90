"""What all transforms share: a rank in the chain, float32 state, a state file that may lack them.

A transform is a Keras layer, so its variables are saved, placed and replicated by Keras. It never
trains by itself: everything that changes over time is assigned by the technique that owns it.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfcompress.layer_table.axes import Axes


class Transform(keras.layers.Layer):
    """A tensor to a tensor of the same shape.

    Args:
        axes: Axis letters of the weight, as in the table of layer facts (`xyio`).
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    rank = 0
    """Order in a chain: Centroids 10, Mask 20, QuantizeWeight 30."""

    lasting = True
    """Whether `bake` writes the result into the weight; rounding happens in the file instead."""

    def __init__(self, axes: str = "", **kwargs):
        kwargs["dtype"] = "float32"  # masks and scales of a float16 model are kept in full precision
        kwargs.setdefault("trainable", False)
        # a name that Keras numbers would differ from process to process, and so would the file it
        # ends in
        kwargs.setdefault("name", type(self).__name__.lower())
        super().__init__(**kwargs)
        self.axes = Axes(axes)
        self.supports_masking = True  # a mask of padded steps goes through

    @property
    def trainable(self) -> bool:
        """False, whatever is set: `trainable = True` on a model says nothing of what its techniques keep."""
        return False

    @trainable.setter
    def trainable(self, value):
        pass

    def state(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer="zeros",
        dtype="float32",
        watched: bool = False,
    ):
        """Makes a state variable; replicas of a distribution strategy keep its mean.

        With `watched`, gradient tapes look at it, so that a tap on it is reached; it still is none
        of the trainable variables of any model.
        """
        made = self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=watched,
            aggregation="mean" if dtype == "float32" else "only_first_replica",
        )
        made.trainable = False  # Keras' word for whose optimizer it is; the tape has its own
        return made

    def compute_output_shape(self, input_shape):
        """The shape of the input."""
        return input_shape

    def load_own_variables(self, store):
        """Loads the state; a file that was written without this transform leaves it as it is."""
        if len(store.keys()):
            super().load_own_variables(store)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "axes": str(self.axes)}


def straight_through(function: Callable, x):
    """Returns `function(x)` with the gradient of `x` itself.

    Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013.

    Args:
        function: Tensor to tensor of the same shape; what it captures gets no gradient.
        x: A tensor.
    """

    @tf.custom_gradient
    def through(x):
        return function(x), lambda upstream: upstream

    return through(x)
