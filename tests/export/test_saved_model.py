"""SavedModels of every origin become integer files that answer as their signature does, in the exporter's order."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.export import saved_model
from tfcompress.export.unconvertible import NotConvertible
from tfcompress.tflite.artifact import Artifact

pytestmark = pytest.mark.e2e

RNG = np.random.default_rng(0)


class Plain(tf.Module):
    """Two inputs and two outputs without Keras, none of them in the order of the alphabet."""

    def __init__(self, batch=None):
        super().__init__()
        self.kernel = tf.Variable(np.random.default_rng(1).normal(size=(6, 4)).astype("float32"))
        specs = [tf.TensorSpec((batch, 6), tf.float32, name=n) for n in ("zeta", "alpha")]
        self.serve = tf.function(self.call, input_signature=specs)

    def call(self, zeta, alpha):
        return tf.nn.relu(zeta @ self.kernel), (alpha - zeta) @ self.kernel


class Rounded(tf.Module):
    """A product with ranges that were trained."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(np.random.default_rng(1).normal(size=(6, 4)).astype("float32"))

    @tf.function(input_signature=[tf.TensorSpec((None, 6), tf.float32, name="x")])
    def serve(self, x):
        x = tf.quantization.fake_quant_with_min_max_args(x, -4.0, 4.0)
        return {"y": tf.quantization.fake_quant_with_min_max_args(x @ self.kernel, -16.0, 16.0)}


def image_layers(layers):
    """The layers for which a wrapped SavedModel was refused: a pair of DEQUANTIZE and QUANTIZE at its input."""
    return [
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(4, activation="softmax"),
    ]


def saved(module, folder):
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return str(folder)


def keras_folder(model, folder):
    model.export(folder, verbose=False)
    return str(folder)


def answers(folder, x):
    """What the signature itself says, in float."""
    made = tf.saved_model.load(str(folder)).signatures["serving_default"](**{n: tf.constant(v) for n, v in x.items()})
    return {name: value.numpy() for name, value in made.items()}


def error(artifact, x, wanted):
    """The largest relative error of any output."""
    found = artifact.predict(x)
    found = found if isinstance(found, dict) else {artifact.outputs[0].name: found}
    return max(np.sqrt(np.mean((found[n] - wanted[n]) ** 2)) / wanted[n].std() for n in wanted)


def stock(folder, x):
    """TensorFlow's own integer file from the same data."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["serving_default"])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    count = len(next(iter(x.values())))
    converter.representative_dataset = lambda: ({n: v[i : i + 1] for n, v in x.items()} for i in range(count))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's own calibrator warns of its interpreter
        return Artifact(converter.convert())


@pytest.fixture
def pair():
    return {n: k * RNG.normal(size=(24, 6)).astype("float32") for n, k in (("zeta", 1), ("alpha", 3))}


@pytest.mark.slow
@pytest.mark.parametrize(
    "exporter", ["keras", pytest.param("tf_keras", marks=pytest.mark.legacy)]
)  # as a user has it: of either Keras
def test_an_image_net_becomes_integer_in_one_conversion(exporter, tmp_path, monkeypatch):
    lib = pytest.importorskip(exporter)
    model = lib.Sequential([lib.Input((49, 10, 1), name="mfcc"), *image_layers(lib.layers)])
    folder = keras_folder(model, tmp_path) if exporter == "keras" else str(tmp_path)
    if exporter == "tf_keras":
        model.save(folder, save_format="tf")
    runs, plain = [], saved_model.run_converter
    monkeypatch.setattr(saved_model, "run_converter", lambda *a: runs.append(1) or plain(*a))
    x = {"mfcc": RNG.normal(size=(40, 49, 10, 1)).astype("float32")}
    artifact = tfc.convert(folder, calibration=x["mfcc"])
    assert artifact.is_integer and len(runs) == 1
    assert not {"QUANTIZE", "DEQUANTIZE"} & {row["op"] for row in artifact.ops_table()}
    wanted = answers(folder, x)
    assert error(artifact, x, wanted) <= 1.05 * error(stock(folder, x), x, wanted)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("mode", "io", "within"),
    [("int8", "int8", 0.05), ("int8", "uint8", 0.05), ("int8", "float32", 0.05), ("int16x8", "int16", 0.02)]
    + [("int16x8", "float32", 0.02), ("float32", None, 1e-5), ("float16", None, 2e-3), ("dynamic", None, 0.05)],
)
def test_every_mode_keeps_the_exporters_order(mode, io, within, tmp_path, pair):
    folder = saved(Plain(), tmp_path)
    artifact = tfc.convert(folder, mode, calibration=[pair["zeta"], pair["alpha"]], io=io)
    assert [s.name for s in artifact.inputs] == ["zeta", "alpha"]
    assert [s.name for s in artifact.outputs] == ["output_0", "output_1"]
    assert {s.dtype for s in (*artifact.inputs, *artifact.outputs)} == {io or "float32"}
    wanted = answers(folder, pair)
    assert error(artifact, pair, wanted) < within
    assert error(artifact, [pair["zeta"], pair["alpha"]], wanted) < within
    assert artifact.is_integer == mode.startswith("int")


def test_ten_outputs_and_more_stand_in_their_order(tmp_path):
    inputs = keras.Input((6,), name="x")
    model = keras.Model(inputs, [keras.layers.Dense(k + 1)(inputs) for k in range(12)])
    artifact = tfc.convert(keras_folder(model, tmp_path), "float32")
    assert [s.shape[1] for s in artifact.outputs] == list(range(1, 13))


@pytest.mark.legacy
def test_the_order_of_tf_keras_is_the_models(tmp_path):
    lib = pytest.importorskip("tf_keras")
    first, second = lib.Input((6,), name="zeta"), lib.Input((5,), name="alpha")
    shared = lib.layers.Dense(3, name="zz")
    middle = lib.layers.Dense(2, name="aa")(second)
    outputs = [shared(first), middle, shared(lib.layers.Dense(6)(second))]
    lib.Model([first, second], outputs).save(tmp_path, save_format="tf")
    artifact = tfc.convert(str(tmp_path), "float32")
    assert [s.name for s in artifact.inputs] == ["zeta", "alpha"]
    assert [s.name for s in artifact.outputs] == ["zz", "aa", "zz_1"]


def test_the_layer_of_a_loss_is_named(tmp_path):
    """A head whose answers lie far from zero, as a regression without normalized targets has it."""
    i = keras.Input((6,), name="x")
    model = keras.Model(i, keras.layers.Dense(1, name="head")(keras.layers.Dense(8, activation="relu", name="mid")(i)))
    model.get_layer("head").bias.assign([290.0])
    x = RNG.random(size=(96, 6)).astype("float32")
    with pytest.warns(tfc.FidelityWarning, match="It arises at layer 'head.*adds more noise than any other"):
        artifact = tfc.convert(keras_folder(model, tmp_path), calibration=x)
    found = artifact.metadata["fidelity"]["lost_at"]
    assert found["layer"].startswith("head") and found["decibel"] < 0 < found["fed"] < 0.1


@pytest.mark.legacy
def test_a_file_that_the_runtime_does_not_survive_is_refused(tmp_path):
    """LiteRT 2.3 aborts at the SUB of tf_keras' LayerNormalization with 16-bit activations."""
    lib = pytest.importorskip("tf_keras")
    layers = [lib.layers.Dense(8), lib.layers.LayerNormalization(), lib.layers.Dense(2)]
    lib.Sequential([lib.Input((6, 8)), *layers]).save(tmp_path, save_format="tf")
    x = RNG.normal(size=(32, 6, 8)).astype("float32")
    with pytest.raises(NotConvertible, match="(?s)the runtime itself ends.*mode='int8'.*SIGABRT"):
        tfc.convert(str(tmp_path), "int16x8", calibration=x)
    assert tfc.convert(str(tmp_path), "int8", calibration=x).is_integer


def test_a_signature_of_four_samples_stays_one_of_four(tmp_path, pair):
    folder = saved(Plain(4), tmp_path)
    artifact = tfc.convert(folder, calibration=pair)
    assert [s.shape for s in artifact.inputs] == [(4, 6), (4, 6)]
    parts = [answers(folder, {n: v[k : k + 4] for n, v in pair.items()}) for k in range(0, 24, 4)]
    assert error(artifact, pair, {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}) < 0.05


def test_trained_ranges_need_no_calibration(tmp_path):
    artifact = tfc.convert(saved(Rounded(), tmp_path))
    assert artifact.is_integer
    assert artifact.inputs[0].scale == pytest.approx(8 / 255) and artifact.outputs[0].scale == pytest.approx(32 / 255)
    x = {"x": RNG.normal(size=(20, 6)).astype("float32")}
    gap = np.abs(artifact.predict(x) - answers(tmp_path, x)["y"])
    assert gap.max() <= 1.01 * artifact.outputs[0].scale


def test_a_saved_model_of_tensorflow_1_converts(tmp_path, pair):
    old = tf.compat.v1
    graph, folder = tf.Graph(), str(tmp_path / "old")
    with graph.as_default(), old.Session(graph=graph) as session:
        a, b = (old.placeholder(tf.float32, (None, 6), name) for name in ("a", "b"))
        kernel = old.get_variable("kernel", (6, 3), use_resource=False)
        y = tf.nn.relu(a @ kernel) + b @ kernel
        session.run(old.global_variables_initializer())
        builder = old.saved_model.Builder(folder)
        signature = old.saved_model.predict_signature_def({"zeta": a, "alpha": b}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    artifact = tfc.convert(folder, calibration=pair)
    assert artifact.is_integer and error(artifact, pair, answers(folder, pair)) < 0.05


def test_a_model_that_holds_a_saved_model_has_no_range_twice(tmp_path):
    x = RNG.normal(size=(40, 16, 8, 1)).astype("float32")
    inner = keras.Sequential([keras.Input((16, 8, 1)), *image_layers(keras.layers)])
    layer = keras.layers.TFSMLayer(keras_folder(inner, tmp_path), call_endpoint="serve")
    inputs = keras.Input((16, 8, 1), name="x")
    model = keras.Model(inputs, keras.layers.Dense(3)(layer(inputs)))
    artifact = tfc.convert(model, calibration=x)
    assert artifact.is_integer and "QUANTIZE" not in {row["op"] for row in artifact.ops_table()}
    wanted = {artifact.outputs[0].name: model.predict(x, verbose=0)}
    assert error(artifact, x, wanted) < 0.05


def test_one_scale_for_each_kernel_is_what_it_says(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1), name="x"), *image_layers(keras.layers)])
    folder, x = keras_folder(model, tmp_path), RNG.normal(size=(20, 8, 8, 1)).astype("float32")
    counts = []
    for scales in ("channel", "tensor"):
        artifact = tfc.convert(folder, calibration=x, scales=scales)
        (conv, *_) = artifact.model.graphs[0].ops
        counts.append(artifact.model.graphs[0].tensors[conv.inputs[1]].scale.size)
    assert counts == [4, 1]


def test_a_float_operation_is_named_with_its_scope(tmp_path):
    model = keras.Sequential([keras.Input((6,), name="x"), keras.layers.Dense(4, "elu", name="hidden")])
    folder, x = keras_folder(model, tmp_path), RNG.normal(size=(20, 6)).astype("float32")
    with pytest.raises(tfc.NotFullyInteger, match="ELU from layer 'hidden") as caught:
        tfc.convert(folder, calibration=x)
    assert {f.op for f in caught.value.float_ops} == {"ELU"}
    assert "Keras model it was exported from" in str(caught.value)
    artifact = tfc.convert(folder, calibration=x, allow_float=["ELU"])
    assert error(artifact, {"x": x}, answers(folder, {"x": x})) < 0.05


def test_a_recurrent_loop_is_refused_where_it_would_be_calibrated(tmp_path):
    model = keras.Sequential([keras.Input((5, 4), name="x"), keras.layers.LSTM(3)])
    folder, x = keras_folder(model, tmp_path), RNG.normal(size=(20, 5, 4)).astype("float32")
    for mode in ("int8", "int16x8"):
        with pytest.raises(ValueError, match="recurrent layer as a loop.*unroll=True"):
            tfc.convert(folder, mode, calibration=x)
    assert error(tfc.convert(folder, "float32"), {"x": x}, answers(folder, {"x": x})) < 1e-5
    assert tfc.convert(model, calibration=x).is_integer  # the way out that the error names


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (tf.TensorSpec((None, None, 3), tf.float32, name="x"), r"'x'.*open dimension.*\(None, None, 3\)"),
        (tf.TensorSpec((None, 3), tf.string, name="x"), "'x'.*takes strings"),
    ],
)
def test_what_no_file_can_take_is_refused_at_once(spec, said, tmp_path):
    module = tf.Module()
    module.serve = tf.function(lambda x: {"y": tf.identity(x)}, input_signature=[spec])
    with pytest.raises(ValueError, match=said):
        tfc.convert(saved(module, tmp_path), "float32")


def test_layers_to_leave_float_need_layers(tmp_path):
    with pytest.raises(ValueError, match="leave_float names layers.*SavedModel"):
        tfc.convert(saved(Plain(), tmp_path), calibration=np.zeros((20, 6)), leave_float=["dense"])
