"""Runs the algorithms of tensorflow-model-optimization on models of tf_keras, and brings the results to this library.

The functions call tfmot's own. `strip` removes the wrappers, and `port` (in `port.py`) makes the result a model of
Keras 3 with the same zeros and clusters, which `tfc.convert` takes. Given models are not changed.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

_FLAG = "TF_USE_LEGACY_KERAS"


def prune(model: Any, sparsity: Any = 0.5, **settings: Any) -> Any:
    """Wraps a model in tfmot's magnitude pruning.

    Args:
        model: A live Functional or Sequential model of tf_keras.
        sparsity: Fraction of zeros, 0 to below 1, constant from the first step on; or a schedule of tfmot.
        **settings: Further arguments of `tfmot.sparsity.keras.prune_low_magnitude`, such as `block_size`.

    Returns:
        A model of tf_keras, not compiled. Train it with `callbacks=tfmot.callbacks()`.

    Raises:
        TypeError: If it is no model of tf_keras.
        ValueError: If the sparsity is out of range.

    Example:
    ```python
    import tf_keras
    from tfcompress.legacy import tfmot

    model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(8)])
    pruned = tfmot.prune(model, 0.5)
    ```
    """
    sparse = _tfmot(model).sparsity.keras
    if isinstance(sparsity, int | float):
        if not 0 <= sparsity < 1:
            hint = f" Did you mean {sparsity / 100}?" if 1 < sparsity < 100 else ""
            raise ValueError(f"prune: sparsity must be in [0, 1). Received: sparsity={sparsity}.{hint}")
        sparsity = sparse.ConstantSparsity(sparsity, begin_step=0, frequency=1)
    return sparse.prune_low_magnitude(_copy(model), pruning_schedule=sparsity, **settings)


def callbacks() -> list[Any]:
    """Returns the callbacks that `fit` of a pruned model needs: one that counts its steps."""
    return [_imported().sparsity.keras.UpdatePruningStep()]


def cluster(model: Any, clusters: int = 16, **settings: Any) -> Any:
    """Wraps a model in tfmot's weight clustering.

    Args:
        model: A live Functional or Sequential model of tf_keras, trained.
        clusters: Values per kernel, at least 2.
        **settings: Further arguments of `tfmot.clustering.keras.cluster_weights`, such as
            `cluster_centroids_init`; by default the centroids start by k-means++.

    Returns:
        A model of tf_keras, not compiled.

    Raises:
        TypeError: If it is no model of tf_keras.
        ValueError: If `clusters` is out of range.
    """
    home = _tfmot(model).clustering.keras
    if not isinstance(clusters, int) or clusters < 2:
        raise ValueError(f"cluster: clusters must be a whole number of at least 2. Received: clusters={clusters!r}.")
    start = {"cluster_centroids_init": home.CentroidInitialization.KMEANS_PLUS_PLUS}
    return home.cluster_weights(_copy(model), number_of_clusters=clusters, **(start | settings))


def quantize(model: Any) -> Any:
    """Wraps a model in tfmot's int8 quantization-aware training.

    Its wrappers have no equivalent in Keras 3; `tflite` makes the integer file.

    Args:
        model: A live Functional or Sequential model of tf_keras, without wrappers of pruning or clustering.

    Returns:
        A model of tf_keras, not compiled.

    Raises:
        TypeError: If it is no model of tf_keras.
    """
    return _tfmot(model).quantization.keras.quantize_model(model)


def strip(model: Any) -> Any:
    """Removes the wrappers of pruning and clustering; zeros and clusters stay in the kernels.

    Args:
        model: A trained model that `prune` or `cluster` returned.

    Returns:
        A plain model of tf_keras. `tfcompress.legacy.port.port`, `tfc.load_model` and `tfc.convert` take it.

    Raises:
        TypeError: If it is no model of tf_keras.
        ValueError: If it has wrappers of quantization, which can't be removed.

    Example:
    ```python
    import tf_keras
    from tfcompress.legacy import tfmot
    from tfcompress.legacy.port import port

    model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(8)])
    ported = port(tfmot.strip(tfmot.prune(model, 0.5)))
    ```
    """
    home = _tfmot(model)
    quantized = [layer.name for layer in model.layers if type(layer).__name__.startswith("Quantize")]
    if quantized:
        raise ValueError(
            f"strip: layer {quantized[0]!r} is a wrapper of quantization, whose ranges no plain layer holds. "
            "Make the file with tfcompress.legacy.tfmot.tflite(model)."
        )
    return home.clustering.keras.strip_clustering(home.sparsity.keras.strip_pruning(model))


def tflite(model: Any, calibration: Iterable[Any] | None = None) -> bytes:
    """Converts a model of tf_keras with TensorFlow's own converter, wrappers of quantization included.

    Args:
        model: A live model of tf_keras.
        calibration: Representative inputs, an array `(samples, ...)` or a list of samples, each a list of arrays in
            input order; needed for integers unless the model went through `quantize`.

    Returns:
        The content of a `.tflite` file; `tfc.Artifact(content)` reads it.

    Raises:
        TypeError: If it is no model of tf_keras.
    """
    import tensorflow as tf

    _tfmot(model)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if calibration is not None:
        converter.representative_dataset = _samples(calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        # the ranges are in the graph, but the converter warns that statistics are missing
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
        return converter.convert()


def _samples(calibration: Iterable[Any]) -> Callable[[], Iterator[list[np.ndarray]]]:
    def each():
        for sample in calibration:
            parts = sample if isinstance(sample, (list, tuple)) else [np.asarray(sample)[None]]
            yield [np.asarray(part, "float32") for part in parts]

    return each


def _tfmot(model: Any) -> Any:
    """Imports tfmot, for a model of tf_keras only."""
    home = _imported()
    import tf_keras

    if not isinstance(model, tf_keras.Model):
        kind = f"{type(model).__module__}.{type(model).__name__}"
        raise TypeError(
            f"tfmot works on models of tf_keras. Received: {kind}. For models of Keras 3 this library has its own: "
            "tfc.Prune, tfc.Cluster, tfc.Quantize."
        )
    return home


def _copy(model: Any) -> Any:
    """Returns a copy of a model, because tfmot changes the layers that it wraps."""
    import tf_keras

    copy = tf_keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def _imported() -> Any:
    with _kept(_FLAG):
        import tensorflow_model_optimization
    return tensorflow_model_optimization


@contextlib.contextmanager
def _kept(name: str) -> Iterator[None]:
    """Restores an environment variable that importing tfmot sets; child processes would use tf_keras as Keras."""
    before = os.environ.get(name)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
