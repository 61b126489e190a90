"""Random numbers at inference (sampling layers, dropout that stays on), in operations that LiteRT has.

Keras draws with stateless random operations, which LiteRT lacks. A float file draws new numbers at every run, with
LiteRT's own random operations. These give no integers, so an integer file, and its simulation, holds one fixed draw,
the same for every sample.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from tfcompress.file_formats import FORMATS
from tfcompress.graph.keras_private import DRAWN, RANDOM, override_attributes

NORMAL, UNIFORM = "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"
ANEW = {"normal": NORMAL, "uniform": UNIFORM, "dropout": UNIFORM}
"""Function of `keras.random` to the LiteRT operation that draws its numbers at every run, in every file."""
_FLOAT = {*ANEW, "randint", "categorical"}  # the functions of which a float file draws new numbers

_SEED = 1337


@dataclass
class Draws:
    """Replaces and records the random draws of a model while it is traced.

    Args:
        anew: LiteRT's random operations that the file may hold.
        is_integer: Whether it is an integer file.
        names: Names of the functions that were called, in order.
        scopes: TensorFlow's name scope at each call.
        plain: Keras' own functions by name.
    """

    anew: frozenset[str] = frozenset()
    is_integer: bool = True
    names: list[str] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    plain: dict[str, Callable] = field(default_factory=lambda: {name: getattr(RANDOM, name) for name in DRAWN})

    def begin(self) -> None:
        """Clears the record, so that another trace of the same model draws the same numbers."""
        self.names.clear()
        self.scopes.clear()

    @classmethod
    def of(cls, mode: str, allowed) -> "Draws":
        """Returns the draws of a file of some mode; an integer file draws only by operations that may stay float."""
        every, is_integer = frozenset(ANEW.values()), FORMATS[mode].is_integer
        return cls(every & frozenset(allowed) if is_integer else every, is_integer)

    def replacement(self, name: str) -> Callable:
        """Returns the replacement for a function of `keras.random`."""
        special = getattr(self, f"_{name}", None)

        def drawn(*args, seed=None, **kwargs):
            self.names.append(name)
            self.scopes.append(tf.get_current_name_scope())
            return self._fixed(name, *args, **kwargs) if special is None else special(*args, **kwargs)

        return drawn

    def _fixed(self, name: str, shape, *args, **kwargs):
        """Draws once, as a constant that is the same for every sample."""
        sizes = tf.zeros(shape).shape.as_list()
        with tf.init_scope():
            held = self.plain[name]((1, *sizes[1:]) if sizes else (), *args, seed=_SEED + len(self.names), **kwargs)
            held = np.asarray(held)
        return tf.broadcast_to(held, shape)

    def _standard(self, name: str, shape):
        """Draws standard normal or uniform numbers, at every run of the file or as a constant."""
        return getattr(tf.random, name)(shape) if ANEW[name] in self.anew else self._fixed(name, shape)

    def held(self) -> list[tuple[str, str]]:
        """Returns name and scope of every draw that is a constant of the file."""
        served = {name for name, op in ANEW.items() if op in self.anew} if self.is_integer else _FLOAT
        return [pair for pair in zip(self.names, self.scopes, strict=True) if pair[0] not in served]

    def notes(self, paths: dict[int, str]) -> list[str]:
        """Returns one sentence for each layer whose random numbers are constants of the file.

        Args:
            paths: Number in the name of a scope to the path of the layer.
        """
        found: dict[str, list[str]] = {}
        for name, scope in self.held():
            numbers = re.findall(r"tfc(\d+)_", scope)
            found.setdefault(paths.get(int(numbers[-1]), "?") if numbers else "?", []).append(name)
        return [
            f"layer {layer!r} draws random numbers ({', '.join(dict.fromkeys(names))}): the file holds one draw and "
            f"answers the same every time; {self._way_out(names)}make the noise an input of the model"
            for layer, names in found.items()
        ]

    def _way_out(self, names: list[str]) -> str:
        ops = sorted({ANEW[name] for name in names if name in ANEW} - self.anew)
        return f"let it draw in float, allow_float={ops}, or " if self.is_integer and ops else ""

    def _normal(self, shape, mean=0.0, stddev=1.0, dtype=None):
        return _spread(self._standard("normal", shape), stddev, mean, dtype)

    def _uniform(self, shape, minval=0.0, maxval=1.0, dtype=None):
        return _spread(self._standard("uniform", shape), maxval - minval, minval, dtype)

    def _dropout(self, inputs, rate, noise_shape=None):
        if rate in (0.0, 1.0):
            return inputs * (1.0 - rate)
        given = tf.shape(inputs) if None in inputs.shape else inputs.shape
        shape = given
        if noise_shape is not None:
            shape = [given[k] if n is None else n for k, n in enumerate(noise_shape)]
        kept = tf.cast(self._standard("uniform", shape) >= rate, inputs.dtype)
        return inputs * (kept / tf.cast(1.0 - rate, inputs.dtype))

    def _randint(self, shape, minval, maxval, dtype="int32"):
        if self.is_integer:
            return self._fixed("randint", shape, minval, maxval, dtype)
        return tf.cast(tf.floor(self._standard("uniform", shape) * (maxval - minval)) + minval, dtype)

    def _categorical(self, logits, num_samples, dtype="int64"):
        """Samples categories as the argmax of logits plus Gumbel noise."""
        rows = tf.shape(logits)[0] if logits.shape[0] is None else logits.shape[0]
        shape = (rows, num_samples, logits.shape[-1])
        u = self._fixed("uniform", shape) if self.is_integer else tf.random.uniform(shape)
        noise = -tf.math.log(-tf.math.log(tf.maximum(u, 1e-7)))
        return tf.cast(tf.argmax(logits[:, None] + tf.cast(noise, logits.dtype), -1, tf.int32), dtype)

    def _shuffle(self, x, axis=0):
        order = self._fixed("uniform", (1, x.shape[axis]))[0]
        return tf.gather(x, tf.argsort(order), axis=axis)


def _spread(x, factor, shift, dtype):
    x = x if isinstance(factor, float) and factor == 1.0 else x * factor
    x = x if isinstance(shift, float) and shift == 0.0 else x + shift
    return tf.cast(x, dtype or keras.config.floatx())


@contextlib.contextmanager
def replace_draws(draws: Draws) -> Iterator[Draws]:
    """Replaces Keras' random functions by those of `draws` while the block runs."""
    with override_attributes([(RANDOM, name, draws.replacement(name)) for name in DRAWN]):
        yield draws
