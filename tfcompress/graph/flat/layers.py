"""Layers of flat models that Keras does not have: a weight, a constant, and a repetition along the batch.

A layer of a graph reads a tensor, so each of them is called on one whose values it does not look at. A saved model that
holds them is loaded with `tfc.load_model`; `import tfcompress` alone does not register them with Keras.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.layer_table.lookup import describe


@keras.saving.register_keras_serializable("tfcompress")
class Weight(keras.layers.Layer):
    """Holds a weight that a layer of one's own had added (a class token, a table of positions, a scale) and yields it.

    Args:
        shape: Shape of the weight.
        leading: Whether the weight is yielded with an axis of size 1 in front, that of the batch.
        regularizer: Its regularizer.
        constraint: Its constraint.
        weight_dtype: Its type; by default that of the layer's weights.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
        >>> import keras
        >>> from tfcompress.graph.flat.layers import Weight
        >>> x = keras.Input((3, 4))
        >>> Weight((4,), leading=True)(x).shape
        (1, 4)
    """

    def __init__(
        self,
        shape: Any,
        leading: bool = False,
        regularizer: Any = None,
        constraint: Any = None,
        weight_dtype: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.shape, self.leading, self.weight_dtype = tuple(shape), leading, weight_dtype
        self.regularizer = keras.regularizers.get(regularizer)
        self.constraint = keras.constraints.get(constraint)

    def build(self, input_shape: Any) -> None:
        """Adds the weight."""
        options = {"regularizer": self.regularizer, "constraint": self.constraint}
        options["autocast"] = keras.backend.is_float_dtype(self.weight_dtype or self.variable_dtype)
        self.weight = self.add_weight(
            shape=self.shape, initializer="zeros", dtype=self.weight_dtype, name="weight", **options
        )

    def call(self, like: Any) -> Any:
        """Returns the weight."""
        value = tf.convert_to_tensor(self.weight)  # a tensor, where Keras' function may return the variable
        return value[None] if self.leading else value

    def compute_output_spec(self, like: Any) -> Any:
        """Returns the shape and type of the weight."""
        return keras.KerasTensor((1, *self.shape) if self.leading else self.shape, dtype=self._yielded_dtype())

    def _yielded_dtype(self) -> str:
        own = self.weight_dtype or self.variable_dtype
        return self.compute_dtype if keras.backend.is_float_dtype(own) else own

    def get_config(self) -> dict:
        """Returns the constructor arguments."""
        held = {"shape": list(self.shape), "leading": self.leading, "weight_dtype": self.weight_dtype}
        held["regularizer"] = keras.regularizers.serialize(self.regularizer)
        held["constraint"] = keras.constraints.serialize(self.constraint)
        return {**super().get_config(), **held}


@keras.saving.register_keras_serializable("tfcompress")
class ConstantTensor(keras.layers.Layer):
    """Yields a constant, such as the numbers of places that an embedding of positions looks up.

    Args:
        value: The constant, as nested lists.
        value_dtype: Its type.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, value: Any, value_dtype: str = "float32", **kwargs):
        super().__init__(**kwargs)
        self.value, self.value_dtype = np.asarray(value, value_dtype), value_dtype

    def call(self, like: Any) -> Any:
        """Returns the constant."""
        return keras.ops.convert_to_tensor(self.value)

    def compute_output_spec(self, like: Any) -> Any:
        """Returns the shape and type of the constant."""
        return keras.KerasTensor(self.value.shape, dtype=self.value_dtype)

    def get_config(self) -> dict:
        """Returns the constructor arguments."""
        return {**super().get_config(), "value": self.value.tolist(), "value_dtype": self.value_dtype}


@keras.saving.register_keras_serializable("tfcompress")
class AlongBatch(keras.layers.Layer):
    """Repeats a tensor whose first axis has size 1 for every sample of a batch.

    Example:
        >>> import numpy as np
        >>> from tfcompress.graph.flat.layers import AlongBatch
        >>> AlongBatch()(np.ones((1, 2), "float32"), np.zeros((5, 3), "float32")).shape
        TensorShape([5, 2])
    """

    def call(self, x: Any, like: Any) -> Any:
        """Returns `x` repeated for every sample of `like`."""
        return keras.ops.broadcast_to(x, (keras.ops.shape(like)[0], *x.shape[1:]))

    def compute_output_spec(self, x: Any, like: Any) -> Any:
        """Returns the shape and type of the result."""
        return keras.KerasTensor((like.shape[0], *x.shape[1:]), dtype=x.dtype)


def _cut(layer: Weight, left: Any) -> dict:
    shape = list(layer.shape)
    shape[-1] = left.outputs
    return {"shape": shape}


describe(Weight, flow="weight", weight="c", resize=_cut)
describe(ConstantTensor, flow="constant", grid="same")
describe(AlongBatch, flow="first", grid="same", pushes=True)
