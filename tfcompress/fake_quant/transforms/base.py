"""What a transform is: a tensor to a tensor of the same shape, with float32 state that is saved.

A transform is a Keras layer, so its variables are saved, placed and replicated by Keras. It never
trains by itself: everything that changes over time is assigned by the technique that owns it.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfcompress.layer_table.axes import Axes

FIXED_POINT = 1e-6
"""Part of the largest |w| by which a second pass may change a weight; what is zero stays exactly zero."""


class Transform(keras.layers.Layer):
    """Base class of what a weight is read through while a model trains, and of activation ranges.

    One of your own overrides `call`, with state that `build` makes by `self.state(...)`, and `get_config` where its
    constructor takes arguments. `tfc.testing.check_transform` runs on it what every transform promises:

    - the shape stays;
    - a second pass changes nothing: `f(f(w))` is `f(w)` to `1e-6` of the largest |w|, and zeros stay exactly zero. At
      the end `f(w)` is written into the weight (baked), and whoever finds another value there than `f` gives would say
      that somebody assigned the weight. (Transforms that are not `lasting` are exempt, as long as they round.);
    - the gradient of the output reaches the weight: as it is with `straight_through`, times the mask for a mask;
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
    """Whether its state goes on for what is left of a weight whose channels were cut."""

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
        """False, whatever is set: `trainable = True` on a model says nothing of what its techniques keep."""
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
        """Looks at the weight once more right before the result is written into it; called when `w` is baked.

        A hook: what was found on the way to the result may be kept as state, so that a second pass gives it again.
        """

    def masked(self) -> Any:
        """Returns which entries of the weight it makes zero, as an array of booleans; None if it is no mask.

        A hook: the share of them is the sparsity in `logs` and at the end of a training.
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
