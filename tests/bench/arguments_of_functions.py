"""Every public function: arguments that fit, and what is sense for each argument."""

import math
import pathlib

import keras
import numpy as np
from argument_kinds import (
    AT_LEAST_0,
    CLOSED,
    INNER,
    POOL,
    SCALE_WORDS,
    SEED,
    THREADS,
    VERBOSE,
    Broken,
    flag,
    keys,
    never,
    optional,
    real,
    samples,
    text,
    texts,
    whole,
    word,
)

import tfcompress as tfc

MODEL = pathlib.Path(__file__).parents[2] / "models" / "mnist" / "int8_qat.tflite"


def functions():
    """The same for functions that need a model, a file or data."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="b")])
    x = np.random.default_rng(0).random((20, 4), "float32")
    artifact = tfc.Artifact.load(MODEL)
    digits = np.zeros((1, 28, 28, 1), "float32")
    quick = {
        "runs": 1,
        "min_seconds": 0.0,
        "warmup_seconds": 0.0,
        "pause_seconds": 0.0,
        "blocks": 1,
        "memory": False,
        "verbose": 0,
    }
    seconds = real(lambda v: 0 <= v <= 7 * 24 * 3600)
    runs = whole(1, 10**9)
    return {
        "convert": (
            tfc.convert,
            {"model": model, "calibration": x},
            {
                "mode": word("int8"),
                "calibration": optional(samples),
                "io": optional(word("int8")),
                "allow_float": texts,
                "leave_float": keys,
                "scales": word(*SCALE_WORDS),
                "signature": text,
                "value_range": lambda v: v is None or v == {},
                "limit": whole(1, 10**6),
                "facts": optional(lambda v: isinstance(v, dict)),
                "model": never,
            },
        ),
        "compress": (
            tfc.compress,
            {"model": model, "recipe": []},
            {
                "recipe": lambda v: hasattr(v, "__iter__") and not isinstance(v, Broken) and not len(list(v)),
                "data": optional(samples),
                "labels": optional(samples),
                "loss": lambda v: v is None or callable(v),
                "update_every": optional(whole(1, 2**53)),
                "learning_rate": AT_LEAST_0,
                "seed": SEED,
                "verbose": VERBOSE,
                "model": never,
                "nonsense": never,
            },
        ),
        "load_model": (
            tfc.load_model,
            {"path_or_model": model},
            {
                "custom_objects": optional(lambda v: isinstance(v, dict)),
                "safe_mode": flag,
                "signature": text,
            },
        ),
        "benchmark": (
            tfc.benchmark,
            {"artifacts": artifact, **quick},
            {
                "runs": runs,
                "warmup_runs": runs,
                "blocks": runs,
                "min_seconds": seconds,
                "max_seconds": seconds,
                "warmup_seconds": seconds,
                "pause_seconds": seconds,
                "threads": THREADS,
                "xnnpack": flag,
                "memory": flag,
                "seed": SEED,
                "verbose": VERBOSE,
                "data": optional(samples),
            },
        ),
        "compare": (
            tfc.compare,
            {"original": artifact, "artifacts": artifact, "data": digits, "latency": False, "verbose": 0},
            {
                "latency": flag,
                "threads": THREADS,
                "output": optional(text),
                "threshold": real(),
                "verbose": VERBOSE,
                "data": samples,
            },
        ),
        "slim": (
            tfc.slim,
            {"file": artifact},
            {
                "channels": flag,
                "names": word("io", "all"),
                "metadata": word("needed", "all"),
                "proof": whole(0, 10_000),
                "seed": SEED,
            },
        ),
        "split": (
            tfc.split,
            {"model": model},
            {
                "how": word("recursive"),
                "at": lambda v: v is None,
                "parts": optional(whole(2, 10_000)),
                "budget": optional(whole(1, 2**62)),
                "by": optional(word("macs", "bytes")),
            },
        ),
        "split(exits)": (
            tfc.split,
            {"model": model, "how": "hierarchical"},
            {
                "at": optional(texts),
                "levels": optional(whole(1, 10_000)),
                "first": optional(INNER),
                "head": optional(word("auto")),
                "trainable_trunk": optional(flag),
                "seed": optional(SEED),
                "threshold": lambda v: v is None or CLOSED(v) or isinstance(v, list | tuple) and all(map(CLOSED, v)),
            },
        ),
        "predict": (
            artifact.predict,
            {"x": digits},
            {
                "threads": THREADS,
                "xnnpack": flag,
            },
        ),
        "Artifact": (
            tfc.Artifact,
            {"content": artifact.content},
            {
                "content": lambda v: isinstance(v, bytes | bytearray | memoryview),
                "metadata": optional(lambda v: isinstance(v, dict) and v not in ({"a": math.nan},) and v is not POOL),
            },
        ),
        "criterion": (
            tfc.criterion,
            {},
            {
                "name": text,
            },
        ),
        "channel_criterion": (
            tfc.channel_criterion,
            {"name": "x"},
            {
                "name": text,
                "data": flag,
                "labels": flag,
                "absolute": flag,
            },
        ),
    }
