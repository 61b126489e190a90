"""`tfc.slim` on files of `tfc.convert`: the same answers bit for bit, the same delegation and names of layers."""

import warnings

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.tflite.runner import Runner

pytestmark = pytest.mark.sampled(5)

layers = keras.layers


def convolutional():
    return keras.Sequential(
        [
            keras.Input((12, 12, 3), name="image"),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="first"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(16, 3, activation="relu", name="second"),
            layers.Flatten(name="flatten"),
            layers.Dense(5, name="head"),
        ]
    )


def depthwise():
    return keras.Sequential(
        [
            keras.Input((12, 12, 3), name="image"),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="first"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu", name="spatial"),
            layers.Conv2D(24, 1, activation="relu", name="second"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(5, name="head"),
        ]
    )


def residual():
    image = keras.Input((12, 12, 3), name="image")
    trunk = layers.Conv2D(16, 3, padding="same", activation="relu", name="first")(image)
    inner = layers.Conv2D(16, 3, padding="same", activation="relu", name="inner")(trunk)
    branch = layers.Conv2D(16, 3, padding="same", name="second")(inner)
    total = layers.ReLU(name="relu")(layers.Add(name="add")([trunk, branch]))
    last = layers.Conv2D(8, 1, activation="relu", name="last")(total)
    return keras.Model(image, layers.Dense(5, name="head")(layers.Flatten(name="flatten")(last)))


def dense():
    return keras.Sequential(
        [
            keras.Input((20,), name="vector"),
            layers.Dense(32, activation="relu", name="first"),
            layers.Dense(32, activation="relu", name="second"),
            layers.Dense(5, name="head"),
        ]
    )


MODELS = {each.__name__: each for each in (convolutional, depthwise, residual, dense)}


def with_dead_channels(model, channels):
    """Zeros some outputs of each inner kernel; biases of even ones are positive, of odd ones negative."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name == "head" or not layer.weights:
            continue
        kernel, bias = layer.get_weights()
        bias = rng.normal(0, 0.1, bias.shape)
        axis = -2 if isinstance(layer, layers.DepthwiseConv2D) else -1
        dead = np.arange(channels)
        np.moveaxis(kernel, axis, 0)[dead] = 0
        bias[dead] = np.where(dead % 2, -0.3, 0.2 if layer.name in ("second", "last") else 0.0)
        layer.set_weights([kernel, bias])
    return model


class Converted(dict):
    """Each model with dead channels, as an int8 artifact that is made when it is first asked for."""

    def __missing__(self, name):
        keras.utils.set_random_seed(1)
        model = with_dead_channels(MODELS[name](), 6)
        x = np.random.default_rng(2).random((64, *model.input_shape[1:]), np.float32)
        self[name] = tfc.convert(model, calibration=x)
        return self[name]


@pytest.fixture(scope="module")
def converted():
    """The artifacts by the names of `MODELS`, made once for all tests."""
    return Converted()


def codes(artifact, count=40, seed=3):
    """Random codes of all brightnesses."""
    (spec,) = artifact.inputs
    rng = np.random.default_rng(seed)
    middle = rng.uniform(-128, 127, (count, *[1] * (len(spec.shape) - 2), spec.shape[-1]))
    return np.clip(rng.normal(middle, 40, (count, *spec.shape[1:])), -128, 127).astype(np.int8)


def answers(artifact, x, xnnpack):
    (found,) = Runner(artifact.content, artifact.model, artifact.inputs, artifact.outputs, xnnpack=xnnpack).run([x])
    return found


def delegates(artifact):
    runner = Runner(artifact.content, artifact.model, artifact.inputs, artifact.outputs)
    return [each["op_name"] for each in runner.interpreter._get_ops_details()].count("DELEGATE")


@pytest.mark.parametrize("name", MODELS)
def test_answers_stay_the_same_bit_for_bit(converted, name):
    artifact = converted[name]
    smaller = tfc.slim(artifact)
    x = codes(artifact)
    for xnnpack in (True, False):
        np.testing.assert_array_equal(answers(smaller, x, xnnpack), answers(artifact, x, xnnpack))
    assert len(np.unique(answers(artifact, x, True), axis=0)) > 10
    assert delegates(smaller) == delegates(artifact) > 0
    (note,) = smaller.metadata["slim"]
    assert note["channels_removed"] >= 6
    assert note["bytes_before"] == artifact.size > smaller.size == note["bytes_after"]
    assert sum(k.size for k in smaller.kernels().values()) < sum(k.size for k in artifact.kernels().values())


@pytest.mark.parametrize("name", MODELS)
def test_a_second_time_nothing_is_left_to_do(converted, name):
    once = tfc.slim(converted[name])
    assert tfc.slim(once) is once
    assert tfc.slim(converted[name]).content == once.content
    assert tfc.slim(once.content).content == once.content


@pytest.mark.parametrize("name", MODELS)
def test_layers_keep_their_names(converted, name):
    artifact = converted[name]
    smaller = tfc.slim(artifact)
    (note,) = smaller.metadata["slim"]
    assert note["operations_removed"] == len(artifact.model.graphs[0].ops) - len(smaller.model.graphs[0].ops)
    pairs = [[(op.name, each.layer_of(op)) for op in each.model.graphs[0].ops] for each in (artifact, smaller)]
    assert pairs[0] == pairs[1]
    others = {key: value for key, value in smaller.metadata.items() if key != "slim"}
    assert others == artifact.metadata


def test_layers_move_up_when_an_operation_before_them_goes():
    image = keras.Input((6, 6, 2), name="image")
    keras.utils.set_random_seed(0)
    inner = layers.Conv2D(3, 1, activation="relu", name="nobody")(image)
    gate = layers.Conv2D(4, 1, activation="relu", name="gate")(inner)
    trunk = layers.Conv2D(4, 1, activation="relu", name="trunk")(image)
    both = layers.Concatenate(name="join")([gate, trunk])
    model = keras.Model(image, layers.Dense(3, name="head")(layers.Flatten(name="flatten")(both)))
    artifact = tfc.convert(model, calibration=np.random.default_rng(0).random((32, 6, 6, 2), np.float32))
    assert tfc.slim(artifact).metadata["layers"] == artifact.metadata["layers"]
    # the first operation is made one that nobody reads
    from tfcompress.tflite.optimizer.packing import pack_model, unpack_file

    flat = unpack_file(artifact.content)
    ops = flat.subgraphs[0].operators
    names = [artifact.layer_of(op) for op in artifact.model.graphs[0].ops]
    at, other = names.index("gate"), names.index("trunk")
    ops[names.index("join")].inputs = np.array([ops[other].outputs[0]] * 2, np.int32)
    smaller = tfc.slim(tfc.Artifact(pack_model(flat), artifact.metadata))
    left = [smaller.layer_of(op) for op in smaller.model.graphs[0].ops]
    assert left == [name for name in names if name not in ("gate", "nobody")]
    assert at != other


def test_only_the_lossless_part_on_request(converted):
    artifact = converted["residual"]
    smaller = tfc.slim(artifact, channels=False, names="all")
    # a file of this package has its tables shared already
    assert all(entry["channels_removed"] == 0 for entry in smaller.metadata.get("slim", []))
    assert [k.tobytes() for k in smaller.kernels().values()] == [k.tobytes() for k in artifact.kernels().values()]
    assert list(smaller.kernels()) == list(artifact.kernels())
    assert smaller.size <= artifact.size


@pytest.mark.parametrize(
    "name", ["float32", "float16", "uint8", "int8_float_io", "int16x8", "int8_dynamic", "two_int8", "elu_int8"]
)
def test_files_of_the_stock_converter(tiny_files, images, pairs, name):
    artifact = tfc.Artifact(tiny_files[name])
    smaller = tfc.slim(tiny_files[name])
    assert smaller.size < artifact.size
    x = pairs if name == "two_int8" else images[:8]
    if name == "elu_int8":
        x = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
    for xnnpack in (True, False):
        expected, found = (each.predict_codes(x, xnnpack=xnnpack) for each in (artifact, smaller))
        if isinstance(expected, dict):
            assert {key: v.tobytes() for key, v in expected.items()} == {key: v.tobytes() for key, v in found.items()}
        else:
            assert expected.tobytes() == found.tobytes()


def test_flex_operations_stay_as_they_are(tiny_files):
    smaller = tfc.slim(tiny_files["flex"])
    assert smaller.size < len(tiny_files["flex"])
    assert [op.name for op in smaller.model.graphs[0].ops] == ["FlexSinh"]
    assert smaller.model.signatures.keys() == {"serving_default"}


def test_a_loop_in_graphs_of_its_own():
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, name="x")])
    def triple(x):
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 1.5 + x), [tf.constant(0), x])[1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = tf.lite.TFLiteConverter.from_concrete_functions([triple.get_concrete_function()]).convert()
    artifact, smaller = tfc.Artifact(content), tfc.slim(content)
    assert len(smaller.model.graphs) == len(artifact.model.graphs) > 1
    assert smaller.size < artifact.size
    x = np.random.default_rng(0).random((5, 4), np.float32)
    assert smaller.predict(x).tobytes() == artifact.predict(x).tobytes()


def test_paths_bytes_and_artifacts(converted, tmp_path):
    artifact = converted["dense"]
    artifact.save(tmp_path / "model.tflite")
    expected = tfc.slim(artifact)
    from_path = tfc.slim(tmp_path / "model.tflite")
    assert from_path.content == tfc.slim(artifact.content).content == expected.content
    assert from_path.metadata == expected.metadata
    with pytest.raises(FileNotFoundError):
        tfc.slim(tmp_path / "other.tflite")
    with pytest.raises(TypeError, match="Received: int"):
        tfc.slim(3)


@pytest.mark.parametrize(
    ("argument", "value"), [("names", "none"), ("metadata", "none"), ("proof", -1), ("proof", 0.5)]
)
def test_arguments_are_checked(converted, argument, value):
    with pytest.raises(ValueError, match=f"slim: {argument} must be .*Received: {argument}="):
        tfc.slim(converted["dense"], **{argument: value})


def test_cut_off_files_are_refused(converted):
    content = converted["dense"].content
    for length in range(0, len(content) - 64, len(content) // 25):
        with pytest.raises(ValueError, match="not a .tflite file"):
            tfc.slim(content[:length])


def test_damaged_files_end_in_a_value_error_or_a_file(converted):
    content = converted["convolutional"].content
    rng = np.random.default_rng(0)
    for _ in range(120):
        damaged = bytearray(content)
        for position in rng.integers(8, len(content), 6):
            damaged[position] = rng.integers(256)
        try:
            # without proof: the runtime does not survive every damaged file
            tfc.slim(bytes(damaged), proof=0)
        except ValueError as error:
            assert str(error)


def test_a_wrong_result_is_not_given_out(converted, monkeypatch):
    from tfcompress.tflite.optimizer import slim as module

    def wrong(model):
        done = module_cut(model)
        for buffer in model.buffers:
            if buffer.data is not None and len(buffer.data) > 200:
                buffer.data = 255 - buffer.data
        return done

    module_cut = module.cut
    monkeypatch.setattr(module, "cut", wrong)
    with pytest.raises(RuntimeError, match="answers differently"):
        tfc.slim(converted["convolutional"])


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "most"),
    [("visual_wake_words/vww_96_int8.tflite", 74_600), ("anomaly_detection/ad01_int8.tflite", 275_000)],
)
def test_files_that_others_made(shared_data, name, most):
    path = None if shared_data is None else shared_data.parent / "models" / "mlperf_tiny" / name
    if path is None or not path.exists():
        pytest.skip(f"missing data: ../shared/models/mlperf_tiny/{name} is not beside the repository")
    artifact, smaller = tfc.Artifact.load(path), tfc.slim(path)
    assert smaller.size <= most < artifact.size
    x = codes(artifact, 60)
    for xnnpack in (True, False):
        np.testing.assert_array_equal(answers(smaller, x, xnnpack), answers(artifact, x, xnnpack))
    assert delegates(smaller) == delegates(artifact)


def refused_by_the_interpreter(artifact):
    """A bias that names a dimension it does not have, as files for microcontrollers do: only they run it."""
    from tfcompress.tflite.optimizer.packing import pack_model, unpack_file

    model = unpack_file(artifact.content)
    for tensor in model.subgraphs[0].tensors:
        if len(tensor.shape) == 1 and tensor.quantization is not None and len(tensor.quantization.scale) > 1:
            tensor.quantization.quantizedDimension = 3
    return pack_model(model)


def test_no_channel_is_cut_from_a_file_that_can_not_be_compared(converted):
    content = refused_by_the_interpreter(converted["dense"])
    with pytest.warns(UserWarning, match="no channels were cut.*quantized_dimension must be in range"):
        smaller = tfc.slim(content)
    (note,) = smaller.metadata["slim"] or [{}]
    assert note["channels_removed"] == note["operations_removed"] == 0
    assert note["proof"].startswith("none: The runtime cannot load this file")
    assert smaller.content == tfc.slim(content, channels=False).content


def test_what_was_proven_stands_in_the_metadata(converted):
    (note,) = tfc.slim(converted["dense"], proof=2).metadata["slim"]
    assert note["proof"] == "2 random inputs with XNNPACK and without XNNPACK"
    left = tfc.slim(converted["dense"].content, proof=0)
    assert sum(k.size for k in left.kernels().values()) == sum(k.size for k in converted["dense"].kernels().values())


@pytest.mark.parametrize("pool", [layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D])
def test_reductions_over_one_axis(pool):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((20, 4)), layers.Conv1D(24, 3, activation="relu", name="first"), pool(), layers.Dense(3)]
    )
    kernel, bias = model.layers[0].get_weights()
    kernel[..., :18], bias[:18] = 0, 0.1
    model.layers[0].set_weights([kernel, bias])
    artifact = tfc.convert(model, calibration=np.random.default_rng(0).random((50, 20, 4), np.float32))
    smaller = tfc.slim(artifact)
    assert smaller.size < artifact.size
    x = codes(artifact)
    for xnnpack in (True, False):
        np.testing.assert_array_equal(answers(smaller, x, xnnpack), answers(artifact, x, xnnpack))


def test_labels_that_unpack_to_gigabytes_and_damaged_ones_are_refused(tiny_files, monkeypatch):
    import io
    import zipfile

    stream = io.BytesIO(tiny_files["int8"])
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "cat\n" * 500)
    whole = stream.getvalue()
    assert b"labels.txt" in tfc.slim(whole).content
    damaged = bytearray(whole)
    at = whole.index(b"labels.txt") + 10
    damaged[at : at + 8] = b"\xff" * 8
    with pytest.raises(ValueError, match="archive behind the model is damaged"):
        tfc.slim(bytes(damaged))
    monkeypatch.setattr("tfcompress.tflite.optimizer.packing.LARGEST_ARCHIVE", 1000)
    with pytest.raises(ValueError, match="unpacks to 2,000 bytes; at most 1,000"):
        tfc.slim(whole)
