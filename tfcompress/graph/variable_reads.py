"""Scopes that replace the values of variables while a call runs, for every layer that reads them.

A layer may read variables that it does not own: a tied kernel, the class token of the layer around it, the state of a
seed generator. A scope around the whole call gives every reader the same value, and in an export the same constant.
"""

import keras
import numpy as np
import tensorflow as tf

NOT_FLOAT32 = ("float16", "bfloat16", "float64")
"""Float types that a file does not compute in; a conversion reads them as float32."""
LARGE = 1024  # size from which a constant is held in a variable that the converter freezes


class ReplacedReads(keras.StatelessScope):
    """A stateless scope with values for some variables; an outer scope still gives the values of others.

    Args:
        values: Pairs of a variable and the tensor that is read in its place.
        collect_losses: Whether the scope collects the losses of layers.
    """

    def __init__(self, values=(), collect_losses: bool = False):
        super().__init__(collect_losses=collect_losses, initialize_variables=False)
        self.kept = [v for v, _ in values]  # an id is only good while the object lives
        self.state_mapping = {id(v): value for v, value in values}

    def add_update(self, update):
        """Records the value that was assigned to a variable."""
        self.kept.append(update[0])
        super().add_update(update)

    def get_current_value(self, variable):
        """Returns the value that is read in a variable's place; None for its own value."""
        value = self.state_mapping.get(id(variable))
        outer = getattr(self, "original_scope", None)
        return outer.get_current_value(variable) if value is None and outer is not None else value

    def assigned(self, before: dict[int, object]) -> list[tuple]:
        """Returns the variables that were assigned inside the scope, with their values.

        Args:
            before: The value of each known variable before, by its id.
        """
        found = {id(v): v for v in self.kept}
        return [(v, self.state_mapping[k]) for k, v in found.items() if self.state_mapping[k] is not before.get(k)]


class Constants(ReplacedReads):
    """A scope in which every Keras variable is read as a constant.

    Args:
        values: By the id of a variable a function `() -> array` that gives its constant; its own value otherwise.
        held: List to which TensorFlow's variables for large constants are added; a new one by default.

    Attributes:
        held: TensorFlow's variables that hold the large constants.
    """

    def __init__(self, values: dict, held: list | None = None):
        super().__init__()
        self.values, self.held = values, [] if held is None else held
        self._made: dict[int, tuple] = {}
        self._looks = False

    def get_current_value(self, variable):
        """Returns the constant."""
        if self._looks:
            return None
        value = super().get_current_value(variable)
        return self._constant(variable) if value is None else value

    def _constant(self, variable):
        if id(variable) not in self._made:
            self._made[id(variable)] = (variable, self._new(variable))
        return tf.convert_to_tensor(self._made[id(variable)][1])

    def _new(self, variable):
        self._looks = True
        try:
            with tf.init_scope():
                value = np.asarray(self.values.get(id(variable), lambda: variable.value)())
                value = told_apart(value.astype("float32") if value.dtype.name in NOT_FLOAT32 else value)
                if value.size < LARGE:
                    return value
                self.held.append(tf.Variable(value, trainable=False))
                return self.held[-1]
        finally:
            self._looks = False


def told_apart(value: np.ndarray) -> np.ndarray:
    """Returns floats that are not all equal, the last changed by its last bit if they were.

    Of equal floats the converter makes one, and of a bias that is one number an integer that only fits the scale of the
    first channel.
    """
    if value.dtype.kind != "f" or value.size < 2:
        return value
    first = value.flat[0]
    if first == 0.0 or value.flat[-1] != first or (value != first).any():
        return value
    changed = np.array(value)
    changed.flat[-1] = np.nextafter(first, np.zeros_like(first))
    return changed


class InFloat32(ReplacedReads):
    """A scope in which float16, bfloat16 and float64 variables are read as float32.

    Args:
        variables: The variables.
    """

    def __init__(self, variables):
        super().__init__()
        self.others = {id(v): v for v in variables if v.dtype in NOT_FLOAT32}
        self._looks = False

    def add_update(self, update):
        """Assigns the variable itself: activation ranges observe values inside this scope."""
        variable, value = update
        self.__exit__(None, None, None)
        try:
            variable.assign(value)
        finally:
            self.__enter__()

    def get_current_value(self, variable):
        """Returns the float32 value of a float variable of another type."""
        value = super().get_current_value(variable)
        if value is not None or self._looks or id(variable) not in self.others:
            return value
        self._looks = True
        try:
            return tf.cast(variable.value, tf.float32)
        finally:
            self._looks = False
