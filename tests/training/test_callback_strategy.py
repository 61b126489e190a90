"""MirroredStrategy over two logical CPU devices, in a process of its own: they are set up once."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
import numpy as np, tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
import tfcompress as tfc
from tfcompress.fake_quant.transforms.centroids import Centroids
from tfcompress.fake_quant.transforms.scores import ScoredMask

L = keras.layers
rng = np.random.default_rng(0)
x = rng.normal(size=(96, 6)).astype("float32")
y = np.argmax(x @ rng.normal(size=(6, 3)), axis=1)


def run(techniques, **options):
    keras.utils.set_random_seed(0)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = keras.Sequential([keras.Input((6,)), L.Dense(12, activation="relu"), L.Dense(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss, **options)
    compression = tfc.Compression(techniques, learning_rate=0.02, verbose=0)
    kernels = [model.layers[0].kernel.numpy()]

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kernels.append(self.model.layers[0].kernel.numpy())

    val = (x, y) if len(techniques) > 1 else None
    model.fit(x, y, batch_size=32, epochs=2, verbose=0, shuffle=False, validation_data=val,
              callbacks=[compression, Keep()])
    assert model.distribute_strategy.num_replicas_in_sync == 2
    return model, compression, kernels


def facts(model, compression):
    artifact = compression.convert(calibration=x[:32])
    gap = np.abs(artifact.predict(x) - compression.predict(x)).max() / artifact.outputs[0].scale
    return {
        "zeros": [int((c.variable.numpy() == 0).sum()) for c in compression.state.chains()],
        "values": [len(np.unique(c.variable.numpy())) for c in compression.state.chains()],
        "seen": [float(s.seen.numpy()) for s in compression.state.ranges],
        "ends": [s.limits() for s in compression.state.ranges],
        "is_integer": artifact.is_integer, "gap": float(gap),
        "hooks": [l.name for l in model.layers if "call" in l.__dict__],
    }


told = {}
everything = [tfc.Prune(0.5), tfc.Cluster(4), tfc.Quantize("int8")]
told["all"] = facts(*run(everything, jit_compile=False)[:2])
still = tfc.Prune(tfc.schedules.constant(0.0), criterion="movement")
model, compression, kernels = run([still], jit_compile=False)
moved = sum(a * (b - a) / 0.1 for a, b in zip(kernels, kernels[1:]))
score = compression.state.find(ScoredMask)[0][2].score.numpy()
told["tap"] = float(np.corrcoef(score.ravel(), moved.ravel())[0, 1])
told["ratio"] = float((score * moved).sum() / (moved * moved).sum())
learned = [tfc.Prune(0.5, criterion="taylor"), tfc.Quantize("int8", ranges="learned")]
model, compression, _ = run(learned, jit_compile=False)
told["learned"] = facts(model, compression)
told["updates"] = int(compression.state.optimizer.iterations.numpy())
told["widest"] = float(np.abs(x[:32]).max())
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def told(request):
    """What the process found."""
    root = str(request.config.rootpath)
    environment = {**os.environ, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout[done.stdout.index("{") :])


@pytest.mark.slow
def test_all_techniques_keep_their_laws(told):
    facts = told["all"]
    assert facts["zeros"] == [36, 18]
    assert max(facts["values"]) <= 5
    assert facts["seen"] == [6.0, 6.0, 6.0]
    assert facts["hooks"] == []
    # the mean of the replicas' extremes lies inside those of the whole batch
    assert all(low <= 0 < high for low, high in facts["ends"])
    assert 1.0 < facts["ends"][0][1] <= told["widest"]
    assert facts["is_integer"] and facts["gap"] <= 1.001


@pytest.mark.slow
def test_gradient_taps_see_the_batches_of_all_replicas(told):
    """The scores are those of the gradient that moved the weights, up to one common factor."""
    assert told["tap"] > 0.999
    assert told["ratio"] > 0.1


@pytest.mark.slow
def test_learned_ranges_and_gradient_criteria(told):
    facts = told["learned"]
    assert told["updates"] == 6
    assert facts["zeros"] == [36, 18]
    assert facts["is_integer"] and facts["gap"] <= 1.001
    assert all(high - low > 0.1 for low, high in facts["ends"])
