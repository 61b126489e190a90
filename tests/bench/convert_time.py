"""Time of a conversion: tfcompress, which proves the file, beside TensorFlow's own converter, which does not.

Both arms convert the same net with the same calibration data in one process, in turns, so that a busy machine slows
both. The first turn of each warms up and is not counted. Printed are medians of the seconds, and the ratio of the
medians. A row `SavedModel` starts from the folder that `model.export` writes, in both arms. The comparison with the
float model is part of the time; the search for the layer of a loss is not: it runs only where something was lost, as in
nets of random weights and seldom in trained ones.

    python tests/bench/convert_time.py [--nets resnet8,mobilenet_v2] [--modes int8,dynamic] [--rounds 5] [--samples 100]
"""

import argparse
import contextlib
import io
import os
import tempfile
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tfcompress as tfc
from tfcompress.demo import networks
from tfcompress.system.silence import quiet


def mobilenet_v2():
    return keras.applications.MobileNetV2((96, 96, 3), weights=None, classes=10)


def mlp():
    layers = [keras.layers.Dense(32, activation="relu"), keras.layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.Input((64,)), *layers])


NETS = {
    "mlp": mlp,
    "tutorial": networks.tutorial,
    "lenet5": networks.lenet5,
    "ds_cnn": networks.ds_cnn,
    "resnet8": networks.resnet8,
    "mobilenet_v2": mobilenet_v2,
}
MODES = ("int8", "int16x8", "float16", "dynamic", "float32")


def stock(source, x: dict, mode: str) -> bytes:
    """TensorFlow's converter as its guide has it."""
    if isinstance(source, str):
        converter = tf.lite.TFLiteConverter.from_saved_model(source, signature_keys=["serving_default"])
    else:
        converter = tf.lite.TFLiteConverter.from_keras_model(source)
    ops = tf.lite.OpsSet
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if mode in ("int8", "int16x8"):
        (values,) = x.values()
        converter.representative_dataset = lambda: ([row[None]] for row in values)
        wide = ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS_INT8 if mode == "int8" else wide]
        kind = tf.int8 if mode == "int8" else tf.int16
        converter.inference_input_type = converter.inference_output_type = kind
    with quiet():
        return converter.convert()


def ours(source, x: dict, mode: str) -> bytes:
    (values,) = x.values()
    return tfc.convert(source, mode, calibration=values, diagnose=False).content


def seconds(arm, *args) -> float:
    began = time.perf_counter()
    arm(*args)
    return time.perf_counter() - began


def measured(source, x: dict, mode: str, rounds: int) -> tuple[float, float]:
    """Medians of both arms, taken in turns."""
    arms = (stock, ours)
    times = {arm: [] for arm in arms}
    for turn in range(rounds + 1):
        for arm in arms if turn % 2 else arms[::-1]:
            times[arm].append(seconds(arm, source, x, mode))
    return tuple(float(np.median(times[arm][1:])) for arm in arms)


def forms(name: str, folder: str):
    """The net as a live model and as the SavedModel of it."""
    keras.utils.set_random_seed(0)
    model = NETS[name]()
    with contextlib.redirect_stdout(io.StringIO()):
        model.export(folder, verbose=False)
    return model, {"Keras": model, "SavedModel": folder}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--modes", default="int8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=100)
    args = parser.parse_args()
    for given, known in ((args.nets, NETS), (args.modes, MODES)):
        if unknown := set(given.split(",")) - set(known):
            parser.error(f"unknown {sorted(unknown)}; known are {list(known)}")
    warnings.simplefilter("ignore")
    print("| net | form | mode | stock, s | tfcompress, s | ratio |\n|---|---|---|---|---|---|")
    for name in args.nets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            model, sources = forms(name, folder)
            values = np.random.default_rng(0).random((args.samples, *model.input_shape[1:]), np.float32)
            for mode in args.modes.split(","):
                for form, source in sources.items():
                    plain, proven = measured(source, {"x": values}, mode, args.rounds)
                    print(
                        f"| {name} | {form} | {mode} | {plain:.2f} | {proven:.2f} | {proven / plain:.2f}x |", flush=True
                    )


if __name__ == "__main__":
    main()
