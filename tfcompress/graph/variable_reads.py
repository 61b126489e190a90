"""What a variable is read as while a call runs, whoever reads it.

A layer may read what it does not own: a tied kernel, the class token of the layer around it, the state of a generator
of random numbers. A scope over the whole call gives every reader the same value, and an export a constant for each.
"""

import keras
import numpy as np
import tensorflow as tf

NOT_FLOAT32 = ("float16", "bfloat16", "float64")
"""Types of floats that a file does not compute in; a conversion reads them as float32."""
LARGE = 1024  # numbers in a constant; larger ones are held in variables that the converter freezes


class Reading(keras.StatelessScope):
    """A stateless scope in which an outer one still counts for what it does not know itself.

    Args:
        values: Pairs of a variable and the tensor it is read as.
    """

    def __init__(self, values=(), collect_losses: bool = False):
        super().__init__(collect_losses=collect_losses, initialize_variables=False)
        self.kept = [v for v, _ in values]  # an id is only good while the object lives
        self.state_mapping = {id(v): value for v, value in values}

    def add_update(self, update):
        """Notes what a variable was assigned."""
        self.kept.append(update[0])
        super().add_update(update)

    def get_current_value(self, variable):
        """Returns what a variable is read as, None for its own value."""
        value = self.state_mapping.get(id(variable))
        outer = getattr(self, "original_scope", None)
        return outer.get_current_value(variable) if value is None and outer is not None else value

    def assigned(self, before: dict[int, object]) -> list[tuple]:
        """Returns the variables that were assigned inside and what.

        Args:
            before: What each known variable was read as, by its id.
        """
        found = {id(v): v for v in self.kept}
        return [(v, self.state_mapping[k]) for k, v in found.items() if self.state_mapping[k] is not before.get(k)]


class Constants(Reading):
    """A scope in which every variable of Keras is a constant, whoever owns it.

    Args:
        values: Function by the id of a variable that has another value than its own: `() -> array`.
        held: List that gets TensorFlow's variables for the large constants; a new one by default.

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
                value = value.astype("float32") if value.dtype.name in NOT_FLOAT32 else value
                if value.size < LARGE:
                    return value
                self.held.append(tf.Variable(value, trainable=False))
                return self.held[-1]
        finally:
            self._looks = False


class InFloat32(Reading):
    """A scope in which floats of other sizes among some variables are read as float32.

    Args:
        variables: The variables.
    """

    def __init__(self, variables):
        super().__init__()
        self.others = {id(v): v for v in variables if v.dtype in NOT_FLOAT32}
        self._looks = False

    def add_update(self, update):
        """Lets variables be assigned as ever: activation ranges look on inside."""
        variable, value = update
        self.__exit__(None, None, None)
        try:
            variable.assign(value)
        finally:
            self.__enter__()

    def get_current_value(self, variable):
        """Returns the float32 value of a float of another size."""
        value = super().get_current_value(variable)
        if value is not None or self._looks or id(variable) not in self.others:
            return value
        self._looks = True
        try:
            return tf.cast(variable.value, tf.float32)
        finally:
            self._looks = False
