"""Base class of transforms: a function from a tensor to a tensor of the same shape, with float32 state that is saved.

A transform is a Keras layer, so its variables are saved, placed and replicated by Keras. It never
trains by itself: the technique that owns it assigns everything that changes over time.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfcompress.layer_table.axes import Axes

FIXED_POINT = 1e-6
"""Part of the largest |w| by which a second pass may change a weight; zeros stay exactly zero."""


class Transform(keras.layers.Layer):
    """Base class of the functions that change a weight or activation during training: masks, rounding, ranges.

    A transform of your own overrides `call`; `build`, if it has state, which it makes with `self.state(...)`; and
    `get_config`, if its constructor takes arguments. `tfc.testing.check_transform` checks the rules for all transforms:

    - the shape stays;
    - a second pass changes nothing: `f(f(w))` is `f(w)` to `1e-6` of the largest |w|, and zeros stay exactly zero. At
      the end `f(w)` is written into the weight (baked); a weight that `f` still changes then looks as if it had been
      assigned from outside. (Transforms that are not `lasting` are exempt, as long as they round.);
    - the gradient of the output reaches the weight: unchanged with `straight_through`, times the mask for a mask;
    - state is float32 or integer whatever the model's dtype, and is saved with the model.

    Args:
        axes: Axis letters of the weight, as in the table of layer facts (`xyio`).
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
        >>> import keras, numpy as np, tensorflow as tf, tfcompress as tfc
        >>> @keras.saving.register_keras_serializable("mine")
        ... class Quarters(tfc.Transform):
        ...     def call(self, w):
        ...         return self.straight_through(lambda x: tf.round(4 * x) / 4, w)
        >>> float(Quarters()(np.float32([0.3]))[0])
        0.25
    """

    rank = 0
    """Order in a chain, lowest first: shared values 10, channel masks 15, masks 20, the file's rounding 30."""

    lasting = True
    """Whether the result is written into the weight at the end; rounding happens in the file instead."""

    outlives_cut = True
    """Whether its state is kept for the rest of a weight when channels are removed from it."""

    def __init__(self, axes: str = "", **kwargs: Any) -> None:
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
        """False, whatever is set: `trainable = True` on a model does not concern the state of its techniques."""
        return False

    @trainable.setter
    def trainable(self, value: Any) -> None:
        pass

    def state(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Any = "zeros",
        dtype: Any = "float32",
        watched: bool = False,
    ) -> Any:
        """Makes a state variable; replicas of a distribution strategy keep its mean.

        With `watched`, gradient tapes follow it, so that its gradient can be recorded; it still is none
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
        made.trainable = False  # for Keras: the model's optimizer skips it; the tape has a flag of its own
        return made

    @staticmethod
    def straight_through(function: Callable, x: Any) -> Any:
        """Returns `function(x)` with the gradient of `x` itself; for `call`.

        Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013.

        Args:
            function: Tensor to tensor of the same shape; what it captures gets no gradient.
            x: A tensor.
        """
        return straight_through(function, x)

    def settle(self, w: Any) -> None:
        """Updates the state right before the result is written into the weight; called when `w` is baked.

        A hook: values computed on the way to the result may be stored as state, so that a second pass gives the same.
        """

    def masked(self) -> Any:
        """Returns the entries of the weight that it makes zero, as an array of booleans; None if it is no mask.

        A hook: their share is the sparsity in `logs` and at the end of a training.
        """
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the input."""
        return input_shape

    def load_own_variables(self, store: Any) -> None:
        """Loads the state; a file that was written without this transform leaves it as it is."""
        if len(store.keys()):
            super().load_own_variables(store)

    def get_config(self) -> Any:
        """Constructor arguments."""
        return {**super().get_config(), "axes": str(self.axes)}


def straight_through(function: Callable, x: Any) -> Any:
    """Returns `function(x)` with the gradient of `x` itself.

    Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013.

    Args:
        function: Tensor to tensor of the same shape; what it captures gets no gradient.
        x: A tensor.
    """

    @tf.custom_gradient
    def through(x: Any) -> Any:
        return function(x), lambda upstream: upstream

    return through(x)
