"""Every class that a stored file may name is found in a process that has only just started."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.op_plan import OpPlan, WeightChain
from tfcompress.fake_quant.transforms import centroids, channel_mask, fixed_range, mask, quantize, ranges, scores
from tfcompress.graph.flat.layers import AlongBatch, ConstantTensor, Weight
from tfcompress.legacy.values import hard_sigmoid_of_keras_2
from tfcompress.session_layers.wrapper import Compressed, Ranged
from tfcompress.validation.registration import register_classes

L, S = keras.layers, tfc.schedules
DENSE = L.Dense(2, name="dense")
OBJECTS = [
    mask.Mask("io"),
    scores.ScoredMask("taylor", axes="io"),
    channel_mask.ChannelMask(0, "io"),
    centroids.Centroids(4, True, "io"),
    quantize.QuantizeWeight(8, True, (1,), "io"),
    ranges.ActivationRange(positive=True),
    ranges.PercentileRange(99.0),
    ranges.LearnedRange(bits=4),
    fixed_range.FixedRange(0.0, 255.0),
    Compressed(DENSE, OpPlan("dense", DENSE, chains={"kernel": WeightChain("kernel", None, [mask.Mask("io")])})),
    Ranged(ranges.ActivationRange(), 1),
    S.Constant(0.5),
    S.Linear(0.0, 0.5),
    S.Polynomial(0.0, 0.5),
    S.Cosine(0.0, 0.5),
    S.Exponential(0.0, 0.5),
    S.Steps({0.5: 0.5}),
    S.Gated(S.Constant(0.5), 0, 10, 5),
    S.FunctionSchedule(hard_sigmoid_of_keras_2),
    tfc.Where("a", min_size=3),
    tfc.QuantSpec(4),
    tfc.Prune(S.cosine(0.0, 0.5)),
    tfc.Cluster(8),
    tfc.Quantize("w4a8"),
    tfc.Distill("teacher.keras"),
    tfc.PruneChannels(0.5),
    tfc.MergeChannels(0.5),
    tfc.LowRank(2),
    tfc.DropLayers(0.5),
    tfc.Fold(),
    tfc.Equalize(),
    Weight((4,), leading=True),
    ConstantTensor([[1.0, 2.0]]),
    AlongBatch(),
    hard_sigmoid_of_keras_2,
]
PROGRAM = """
import json, sys, keras, tfcompress as tfc
for path in sys.argv[2:]:
    tfc.load_model(path)  # loading a file is what registers, and nothing else does here
found = [keras.saving.deserialize_keras_object(each) for each in json.load(open(sys.argv[1]))]
old = [name for name in ("tensorflow_model_optimization", "tf_keras") if name in sys.modules]
print(json.dumps([[getattr(each, "__name__", type(each).__name__) for each in found], old]))
"""


def of(value):
    """Name of a class, or of a function."""
    return getattr(value, "__name__", type(value).__name__)


def python(program, *arguments):
    """Last line that a new process prints."""
    # tfmot, where another test has imported it, tells all later processes to take tf_keras for Keras
    clean = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, env=clean)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1]


def registered():
    """Names of what the package registers, without the layer that only a SavedModel folder can make."""
    register_classes()
    names = {n.split(">")[1] for n in keras.saving.get_custom_objects() if n.startswith("tfcompress>")}
    return names - {"SavedModelSignature"}


@pytest.mark.slow
def test_a_new_process_reads_an_object_of_every_registered_class(tmp_path):
    assert {of(each) for each in OBJECTS} == registered()
    model = keras.Sequential([keras.Input((8,)), L.Dense(16, activation="relu"), L.Dense(2)])
    gradual = tfc.PruneChannels(schedule=S.linear(0.0, 0.5), round_to=1)  # its mask was missing in a list by hand
    session = tfc.compress(model, [gradual, tfc.Cluster(4), tfc.Quantize("int8")], verbose=0)
    paths = [tmp_path / "objects.json", tmp_path / "session.keras"]
    paths[0].write_text(json.dumps([keras.saving.serialize_keras_object(each) for each in OBJECTS]))
    session.model.save(paths[1])
    names, old = json.loads(python(PROGRAM, *paths))
    assert names == [of(each) for each in OBJECTS] and old == []


def test_a_layer_of_a_saved_model_is_registered(tmp_path):
    model = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    model.export(tmp_path / "folder", verbose=False)
    loaded = tfc.load_model(tmp_path / "folder")
    x = np.ones((2, 3), "float32")
    assert keras.saving.get_registered_object("tfcompress>SavedModelSignature") is type(loaded.layers[-1])
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Recipe", "load_model"])
def test_only_reading_a_file_registers(name):
    code = f"import sys, tfcompress as tfc; tfc.{name}; print('tfcompress.techniques.low_rank' in sys.modules)"
    assert python(code) == "False"
