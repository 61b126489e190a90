"""Time of a training step and of a trace when the inside of layers is followed, beside the plain model, in turns.

The model is made of transformer blocks written as layers of one's own; its operations run through plans that do
nothing, so that what is measured is the following alone. Medians of `--rounds` rounds, both arms in each.

    python tests/bench/inside_time.py [--rounds N]
"""

import argparse
import os
import sys
import time
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "fixtures"))

import keras
import numpy as np
from own_layers import STEPS, WIDTH, Block, Tokens, stack

from tfcompress.fake_quant.forward_pass import Mode
from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.patching import patched_calls
from tfcompress.graph.inside.opened import operations
from tfcompress.graph.trace import open_up
from tfcompress.layer_table.inner_operation import InnerOperation

BATCH, STEPS_PER_ROUND = 64, 40


def arm(is_followed):
    """A function that runs a round of training steps and returns milliseconds per step."""
    keras.utils.set_random_seed(0)
    model = stack(Tokens(), *(Block() for _ in range(4)), keras.layers.Dense(3))
    model.compile("adam", "mse")
    state = SimpleNamespace(op_plans=[], inputs=[])
    if is_followed:
        open_up(model)
        inner = [(path, op) for path, op in operations(model) if isinstance(op, InnerOperation)]
        state.op_plans = [OpPlan(path, op, k, cuts=1e30) for k, (path, op) in enumerate(inner)]
    x = np.random.default_rng(0).normal(size=(BATCH, STEPS, WIDTH)).astype("float32")
    y = np.zeros((BATCH, STEPS + 1, 3), "float32")

    def run():
        with patched_calls(model, state, Mode.TRAIN):
            model.train_on_batch(x, y)
            start = time.perf_counter()
            for _ in range(STEPS_PER_ROUND):
                model.train_on_batch(x, y)
        return (time.perf_counter() - start) / STEPS_PER_ROUND * 1e3

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    arms = {"plain": arm(False), "followed": arm(True)}
    for run in arms.values():
        run()
    times = {name: [] for name in arms}
    for _ in range(rounds):
        for name, run in arms.items():
            times[name].append(run())
    plain, followed = (np.median(times[name]) for name in arms)
    print(f"| plain | {plain:.2f} ms |\n| followed | {followed:.2f} ms |\n| ratio | {followed / plain:.3f} |")


if __name__ == "__main__":
    main()
