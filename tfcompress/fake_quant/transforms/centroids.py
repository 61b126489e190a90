"""Weight clustering: every weight is replaced by the mean of its cluster, and keeps its own gradient.

A cluster's value is the mean of its members, summed in float64: exactly that of the members when
they are equal already, so that baking twice changes nothing. Only the owner changes which weight
belongs to which cluster (Deep Compression, Han et al. 2016, trains shared values so).
"""

import keras
import numpy as np
import tensorflow as tf

from tfcompress.fake_quant.transforms.base import Transform, straight_through
from tfcompress.graph.keras_private import full_precision


@keras.saving.register_keras_serializable("tfcompress")
class Centroids(Transform):
    """Replaces weights by the mean of their cluster once `active` is 1.

    Args:
        clusters: Number of shared values, per tensor or per channel.
        per_channel: Whether every channel has values of its own.
        axes: Axis letters of the weight.

    Index `clusters` is an extra cluster whose value is exactly 0: masked and preserved zeros.
    """

    rank = 10

    def __init__(self, clusters: int, per_channel: bool = False, axes: str = "", **kwargs):
        super().__init__(axes, **kwargs)
        self.clusters, self.per_channel = clusters, per_channel

    def build(self, input_shape):
        """Makes the assignment and the values, inactive."""
        self.channels = self.axes.number_of_outputs(input_shape) if self.per_channel else 1
        slots = self.channels * (self.clusters + 1)
        self.index = self.state("index", input_shape, dtype="int32")
        self.centroids = self.state("centroids", (slots,))
        self.counts = self.state("counts", (slots,), "ones")
        self.active = self.state("active", ())
        self.built = True

    def values(self, w):
        """Returns the shared values, `(channels * (clusters + 1),)`; each channel's last is 0."""
        # A weighted count is ten times as fast on a CPU as a segment sum of single numbers; in
        # float64 the mean of equal numbers is that number, and a large kernel loses no digits.
        total = tf.raw_ops.DenseBincount(
            input=tf.reshape(self.index, (-1,)),
            size=self.centroids.shape[0],
            weights=tf.cast(tf.reshape(w, (-1,)), tf.float64),
            binary_output=False,
        )
        counts = tf.cast(tf.convert_to_tensor(self.counts), tf.float64)
        mean = tf.cast(total / tf.maximum(counts, 1.0), tf.float32)
        # an empty cluster keeps the value it was given
        moved = tf.where(counts > 0, mean, tf.convert_to_tensor(self.centroids))
        kept = tf.reshape(moved, (self.channels, -1))[:, :-1]
        return tf.reshape(tf.pad(kept, ((0, 0), (0, 1))), (-1,))

    def call(self, w):
        """Returns the shared values in place of the weights; the gradient passes straight through to the weights."""
        shared = tf.gather(self.values(w), tf.convert_to_tensor(self.index))
        # not `w + (shared - w)`: rounding would make several values of one
        return straight_through(lambda x: tf.where(self.active > 0, shared, x), w)

    def settle(self, w):
        """Stores the current shared values, which clusters without members keep; called when `w` is baked."""
        if float(full_precision(self.active)) > 0:
            self.centroids.assign(self.values(w))

    def load_own_variables(self, store):
        """Loads the state; release 0.1 treated the kernels of attention as one channel, so values are missing there."""
        found = {key: np.asarray(store[key]) for key in store.keys()}
        for key, variable in zip(found, self.variables, strict=False):
            missing = (
                variable.shape[0] - len(found[key]) if variable is self.centroids or variable is self.counts else 0
            )
            if missing > 0:
                found[key] = np.concatenate([found[key], np.zeros(missing, found[key].dtype)])
        super().load_own_variables(found)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "clusters": self.clusters, "per_channel": self.per_channel}
