"""Applies weight constraints (`kernel_constraint=`) to masked and clustered weights before they are baked.

The optimizer applies a constraint to the weight that it trains. Zeros or shared values that are written afterwards can
violate it again (a kernel of unit norm is shorter without half of its weights).
"""

import keras
import numpy as np
import tensorflow as tf

_ROUNDS = 20


def meets_constraint(variable: keras.Variable, value) -> bool:
    """Whether a value meets the constraint of its variable."""
    rule = getattr(variable, "constraint", None)
    if rule is None:
        return True
    return np.allclose(np.asarray(rule(tf.convert_to_tensor(value))), np.asarray(value), rtol=1e-4, atol=1e-6)


def apply_constraint(chain, value):
    """Returns the value of a weight to bake, changed to meet the weight's constraint where that is possible.

    Zeros stay zeros and shared values stay shared: constraint and transforms are applied in turns until both hold;
    otherwise the whole weight is scaled down by one factor. Where neither works, the value is returned unchanged.

    Args:
        chain: The chain of the weight.
        value: What its lasting transforms make of the weight.
    """
    if meets_constraint(chain.variable, value):
        return value
    rule, turned = chain.variable.constraint, value
    for _ in range(_ROUNDS):
        turned = chain.through(tf.convert_to_tensor(rule(turned)), lasting=True)
        if meets_constraint(chain.variable, turned):
            return turned
    given, wanted = np.asarray(value), np.asarray(rule(tf.convert_to_tensor(value)))
    shares = np.abs(wanted[given != 0] / given[given != 0])
    smaller = value * float(shares.min()) if shares.size else value
    return smaller if meets_constraint(chain.variable, smaller) else value
