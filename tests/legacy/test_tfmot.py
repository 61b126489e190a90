"""tfmot's algorithms on tf_keras models, and what they leave in ported models and in files."""

import os

import keras
import numpy as np
import pytest

from tfcompress.conversion.convert import convert
from tfcompress.legacy import tfmot
from tfcompress.legacy.port import port
from tfcompress.legacy.refused import NotPorted
from tfcompress.tflite.artifact import Artifact

tf_keras = pytest.importorskip("tf_keras")
pytest.importorskip("tensorflow_model_optimization")
L = tf_keras.layers
pytestmark = pytest.mark.legacy

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (64, 8, 8, 1)).astype("float32")
Y = RNG.integers(0, 3, 64)


@pytest.fixture
def model(randomized):
    tf_keras.utils.set_random_seed(0)
    layers = [L.Conv2D(4, 3, use_bias=False, name="conv"), L.BatchNormalization(), L.ReLU(), L.Flatten()]
    return randomized(tf_keras.Sequential([tf_keras.Input((8, 8, 1)), *layers, L.Dense(3, name="out")]))


def trained(wrapped, callbacks=()):
    wrapped.compile("adam", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    wrapped.fit(X, Y, epochs=1, verbose=0, callbacks=list(callbacks))
    return wrapped


def kernels(model):
    return {layer.name: np.asarray(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")}


@pytest.mark.slow
def test_zeros_of_pruning_reach_the_integer_file(model):
    before = [w.numpy() for w in model.weights]
    stripped = tfmot.strip(trained(tfmot.prune(model, 0.5), tfmot.callbacks()))
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)  # the model given stays as it is
    found = kernels(port(stripped))
    for name, kernel in kernels(stripped).items():
        np.testing.assert_array_equal(found[name], kernel)
        assert (kernel == 0).mean() == 0.5
    artifact = convert(stripped, calibration=X[:32])
    assert artifact.is_integer
    zeros = _integer_zeros(artifact)
    # (out, height, width, in) there, (height, width, in, out) here
    np.testing.assert_array_equal(zeros["conv"] | (found["conv"].transpose(3, 0, 1, 2) != 0), True)
    np.testing.assert_array_equal(zeros["out"] | (found["out"].T != 0), True)
    assert np.abs(zeros["conv"].mean() - 0.5) < 0.1


def _integer_zeros(artifact):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=artifact.content)
    interpreter.allocate_tensors()
    wanted = {f"{name}/kernel": name for name in ("conv", "out")}
    details = [d for d in interpreter.get_tensor_details() if d["name"] in wanted]
    assert len(details) == 2
    return {wanted[d["name"]]: interpreter.get_tensor(d["index"]) == 0 for d in details}


def test_clusters_come_along(model):
    ported = port(tfmot.strip(trained(tfmot.cluster(model, 4))))
    assert all(len(np.unique(kernel)) <= 4 for kernel in kernels(ported).values())


@pytest.mark.slow
def test_trained_ranges_make_an_integer_file_but_no_port(model):
    quantized = trained(tfmot.quantize(model))
    artifact = Artifact(tfmot.tflite(quantized))
    agree = artifact.predict(X).argmax(1) == np.asarray(quantized(X)).argmax(1)
    assert agree.mean() > 0.9
    with pytest.raises(ValueError, match=r"strip: layer 'quantize_layer'.*tflite\(model\)"):
        tfmot.strip(quantized)
    with pytest.raises(NotPorted, match=r"'quantize_layer'.*tfmot\.tflite"):
        port(quantized)


def test_the_plain_converter_takes_calibration(model):
    assert Artifact(tfmot.tflite(model, calibration=X[:8])).is_integer


def test_wrapped_models_are_not_ported(model):
    with pytest.raises(NotPorted, match=r"\(PruneLowMagnitude\).*tfmot\.strip\(model\)"):
        port(tfmot.prune(model))


def test_bad_arguments_are_refused(model):
    with pytest.raises(ValueError, match=r"sparsity=80\. Did you mean 0\.8\?"):
        tfmot.prune(model, 80)
    with pytest.raises(ValueError, match="at least 2. Received: clusters=1"):
        tfmot.cluster(model, 1)
    new = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    for function in (tfmot.prune, tfmot.cluster, tfmot.quantize, tfmot.strip, tfmot.tflite):
        with pytest.raises(TypeError, match=r"works on models of tf_keras.*tfc\.Prune"):
            function(new)


def test_the_environment_of_child_processes_stays():
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    tfmot.callbacks()
    assert os.environ.get("TF_USE_LEGACY_KERAS") == before
