"""A port gives the outputs of its original, from memory and from both kinds of files, or names the layer."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tfcompress.export.loading import load_model
from tfcompress.legacy.port import is_old, port
from tfcompress.legacy.refused import NotPorted

tf_keras = pytest.importorskip("tf_keras")
L = tf_keras.layers
pytestmark = [
    pytest.mark.sampled(4),
    pytest.mark.legacy,
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
    # Keras 2 said nothing of it
    pytest.mark.filterwarnings("ignore:Layer 'flatten.* does not support masking:UserWarning"),
    # tf_keras, of an initializer in its own EfficientNet
    pytest.mark.filterwarnings("ignore:The `keras.initializers.serialize:UserWarning"),
]

NAMES = [
    "residual", "recurrent", "nested", "nested_frozen", "nested_partly_frozen", "attention", "raw_calls", "volume",
    "sequential", "built_late", "any_size", "by_name",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_port_equals_its_original(tmp_path, old, difference, name):
    model = old(name)
    live = port(model)
    assert isinstance(live, keras.Model)
    assert difference(model, live) <= 1e-6
    for path in (tmp_path / "model.h5", tmp_path / "model.keras"):
        model.save(path)
        assert is_old(path)
        assert difference(model, load_model(path)) <= 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small"])
def test_an_application_equals_its_original(tmp_path, old, difference, name):
    model = old(name)
    model.save(tmp_path / "model.h5")
    assert difference(model, port(tmp_path / "model.h5")) <= 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DenseNet121", "EfficientNetB0"])
def test_a_large_application_equals_its_original(old, difference, name):
    model = old(name)
    assert difference(model, port(model)) <= 2e-6  # 1e-6, or rounding of a hundred layers that has added up


def test_names_of_inputs_layers_and_outputs_stay(old):
    model = old("residual")
    found = port(model)
    assert [x.name for x in found.inputs] == ["image"]
    assert {layer.name.replace("/", "_") for layer in model.layers} == {layer.name for layer in found.layers}


def test_what_does_not_train_stays_so(old):
    found = port(old("nested_frozen"))
    assert found.get_layer("in_ner").trainable_weights == []
    assert len(found.get_layer("shared").trainable_weights) == 2


@pytest.mark.slow
@pytest.mark.needs_keras("3.10")  # before, Keras does not read a layer as the activation of another one
def test_a_port_trains_is_stored_and_comes_back(tmp_path, old):
    model = port(old("residual"))
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 4)).astype("float32")
    model.compile("sgd", ["mse", "mse"])
    model.fit(x, [np.zeros((4, 1, 1, 4)), np.zeros((4, 3))], verbose=0)
    model.save(tmp_path / "port.keras")
    again = load_model(tmp_path / "port.keras")
    for one, other in zip(again(x), model(x), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_in_half_precision_keeps_its_policy():
    policy = tf_keras.mixed_precision.Policy("mixed_bfloat16")
    layers = [L.Conv2D(4, 3, dtype=policy), L.Flatten(), L.Dense(2, dtype=policy), L.Activation("softmax")]
    found = port(tf_keras.Sequential([tf_keras.Input((6, 6, 2)), *layers]))
    assert found.layers[0].dtype_policy.name == "mixed_bfloat16"
    assert found.layers[-1].compute_dtype == "float32"


def test_subclassed_models_are_refused():
    class Own(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.zeros((1, 3), "float32"))
    with pytest.raises(NotPorted, match="'Own' can't be ported: a subclassed model is code.*export"):
        load_model(model)


def test_lambda_layers_need_consent(tmp_path, difference):
    factor = 3.0
    layers = [L.Lambda(lambda t: tf_keras.backend.square(t) * factor, name="squared"), L.Dense(2)]
    model = tf_keras.Sequential([tf_keras.Input((4,)), *layers])
    with pytest.raises(NotPorted, match=r"'squared' \(Lambda\).*load_model\(path, safe_mode=False\)"):
        load_model(model)
    assert difference(model, load_model(model, safe_mode=False)) == 0


def test_only_models_of_keras_2_are_ported(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.save(tmp_path / "new.keras")
    (tmp_path / "text.h5").write_text("text")
    for other in (model, tmp_path / "new.keras", tmp_path / "text.h5", str(tmp_path / "missing.h5"), 3):
        assert not is_old(other)
        with pytest.raises(TypeError, match="load_model takes them"):
            port(other)


def test_a_configuration_that_makes_no_sense_is_refused(tmp_path, edited, old):
    old("any_size").save(tmp_path / "model.h5")
    edited(tmp_path / "model.h5", lambda config: config["config"].pop("layers") and None)
    with pytest.raises(NotPorted, match="the model can't be ported: its configuration can't be read"):
        port(tmp_path / "model.h5")


@pytest.mark.slow
def test_files_are_ported_without_tf_keras(tmp_path, old):
    old("any_size").save(tmp_path / "model.h5")
    program = (
        "import json, sys, tfcompress as tfc\n"
        f"model = tfc.load_model({str(tmp_path / 'model.h5')!r})\n"
        "old = ('tf_keras', 'tensorflow_model_optimization')\n"
        "print(json.dumps([type(model).__module__, [name for name in old if name in sys.modules]]))\n"
    )
    # tfmot, where another test has imported it, tells all later processes to take tf_keras for Keras
    clean = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=clean)
    module, imported = json.loads(done.stdout.splitlines()[-1])
    assert module.startswith("keras.") and imported == []
