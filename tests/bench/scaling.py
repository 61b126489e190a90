"""Time and memory of laying the transforms and of converting, from 1e5 to 3e7 parameters; a child process for each.

Printed beside each figure is its growth over the size before, divided by the growth of the parameters: 1 is linear,
less is better than linear (fixed costs), more would be worse.

    python tests/bench/scaling.py [--sizes 1e5,1e6,1e7,3e7 | --lenet5]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def child(parameters: int) -> dict:
    """Measures one size; runs in a process of its own."""
    import keras
    import numpy as np

    import tfcompress as tfc

    width = int((parameters / 4) ** 0.5)
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((width,), name="x")
    for _ in range(4):
        x = keras.layers.Dense(width, activation="relu")(x)
    model = keras.Model(inputs, x)
    data = np.random.default_rng(0).random((16, width), "float32")

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    start = peak()
    compression = tfc.Compression([tfc.Prune(0.8), tfc.Quantize("int8")], calibration=data, verbose=0)
    began = time.perf_counter()
    compression.set_model(model)
    laid = time.perf_counter() - began
    after_laying = peak()
    model.compile("sgd", "mse")
    model.fit(data, data, epochs=1, verbose=0, callbacks=[compression])
    after_fit = peak()
    began = time.perf_counter()
    artifact = compression.convert()
    return {
        "parameters": model.count_params(),
        "lay_s": laid,
        "lay_mib": after_laying - start,
        "convert_s": time.perf_counter() - began,
        "convert_mib": peak() - after_fit,
        "bytes": artifact.size,
    }


def lenet5() -> list[float]:
    """Seconds of five conversions in a row of LeNet-5 after quantization-aware training."""
    import keras
    import numpy as np

    import tfcompress as tfc
    from tfcompress.demo import networks

    model = networks.lenet5()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(0).random((512, 28, 28, 1), "float32")
    compression = tfc.Compression(tfc.Quantize("int8"), verbose=0)
    model.fit(x, np.zeros(512, int), batch_size=128, verbose=0, callbacks=[compression])
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        compression.convert()
        seconds.append(time.perf_counter() - began)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1e5,1e6,1e7,3e7")
    parser.add_argument("--child", type=int)
    parser.add_argument("--lenet5", action="store_true", help="time the conversion of LeNet-5 instead")
    args = parser.parse_args()
    if args.lenet5:
        print("LeNet-5 after QAT, seconds of five conversions:", " ".join(f"{s:.2f}" for s in lenet5()))
        return
    if args.child:
        print("RESULT " + json.dumps(child(args.child)))
        return
    names = ("lay_s", "lay_mib", "convert_s", "convert_mib")
    print(f"{'parameters':>12} " + " ".join(f"{n:>12} {'growth':>7}" for n in names) + f" {'file B':>12}")
    before = None
    for size in args.sizes.split(","):
        run = subprocess.run(
            [sys.executable, __file__, "--child", str(int(float(size)))], capture_output=True, text=True, check=True
        )
        now = json.loads(next(line for line in run.stdout.splitlines() if line.startswith("RESULT "))[7:])
        cells = []
        for n in names:
            growth = (
                ""
                if before is None or before[n] <= 0
                else f"{now[n] / before[n] / (now['parameters'] / before['parameters']):.2f}"
            )
            cells.append(f"{now[n]:>12.2f} {growth:>7}")
        print(f"{now['parameters']:>12,} " + " ".join(cells) + f" {now['bytes']:>12,}", flush=True)
        before = now


if __name__ == "__main__":
    main()
