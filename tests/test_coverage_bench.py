"""The bench `coverage.py` counts what it claims: states, totals, promises of training, and what a dead child left."""

import types

import numpy as np
import pytest


@pytest.fixture(scope="module")
def bench(bench_module):
    """The bench script, with its table and phases."""
    names = {"main": "coverage", "table": "coverage_table", "phases": "coverage_phases"}
    return types.SimpleNamespace(**{key: bench_module(name) for key, name in names.items()})


TIMES = {"time": 6.0, "stock_time": 2.0, "guide_time": 4.0}
ROWS = [
    {"name": "a", "int8": "PASS", "error": 0.02, "stock": 0.01, "modes": {"float16": 0.0, "dynamic": 0.1}},
    {"name": "b", "int8": "refused; allow_float=['NEG'] works: ...", "error": 0.02, "stock": 0.04, "stock_float": 3},
    {"name": "c", "int8": "refused: ValueError: ...", "raw": False, "channels": "9->5, exact 1e-07, 0 kept"},
    {"name": "d", "int8": "refused: RuntimeError: ...", "raw": True, "modes": {"float16": "RuntimeError: ..."}},
    {
        "name": "e",
        "int8": "DIED with -6: ",
        "died": {"int8": "DIED with -6: "},
        "time": 6.0,
        "stock_time": 2.0,
        "guide_time": 4.0,
    },
    {"name": "f", "fit": "PASS 2 kernels", "channels": "UNCHANGED without a word"},
]


def test_each_row_has_one_state(bench):
    states = [bench.table.state(row) for row in ROWS]
    assert states == ["integer", "remedy", "refused", "raw", "raw", ""]
    assert [bench.table.raw(row) for row in ROWS] == [[], [], [], ["int8"], ["int8"], []]


def test_totals_count_only_what_was_measured(bench):
    text = bench.table.table(ROWS)
    assert "int8: 1 of 5 (20 %) integer; refused with a remedy that works 1, refused without one 1, raw errors 2\n" in (
        text
    )
    assert "float16: 1 of 2 (50 %) PASS" in text and "dynamic: 1 of 1 (100 %) PASS" in text
    assert "both files integer (1 nets): geometric mean 2.00, largest 2.00 (a), above 1.2: 1" in text
    assert "all with both files (2 nets): geometric mean 1.00" in text
    assert "time, ours / stock (1 nets): median 3.0, largest 3.0" in text
    assert "time, ours / stock as its guide has it (1 nets): median 1.5, largest 1.5" in text
    assert "channels: 1 of 2 (50 %) smaller and exact; 0 with the reasons named" in text


def test_a_phase_that_ended_in_an_error_is_no_figure(bench):
    row = {"name": "x", "modes": "RAW KeyError", "stock": "DIED with -6: ", "time": "RAW KeyError", "error": 0.1}
    lines = bench.table.table([row]).splitlines()
    assert lines[2] == "| x |  | 0.100 | failed |  |  | RAW KeyError | RAW KeyError |  |  |  |  |"
    assert "float16: 0 of 1 (0 %) PASS" in lines


def test_a_phase_that_kills_the_process_costs_no_other(bench, monkeypatch):
    calls = []

    def in_child(name, phases, timeout):
        calls.append(list(phases))
        done = [{"phase": p, p: "PASS"} for p in phases]
        return (done[: phases.index("stock")], "DIED with -6: ") if "stock" in phases else (done, "")

    monkeypatch.setattr(bench.main, "in_child", in_child)
    row = bench.main.extended({"name": "x", "done": ["build"]}, ["build", "int8", "stock", "modes"], 1.0)
    assert calls == [["int8", "stock", "modes"], ["modes"]]
    assert row["done"] == ["build", "int8", "stock", "modes"] and row["died"] == {"stock": "DIED with -6: "}
    assert row["int8"] == "PASS" and row["modes"] == "PASS"


def test_names_may_be_patterns(bench):
    assert bench.main.chosen(["a*", "c"], ["ab", "b", "c"]) == ["ab", "c"]
    with pytest.raises(SystemExit, match="no net is named z"):
        bench.main.chosen(["z"], ["ab"])


class Mask:
    """Stands for the transform of that name."""


class Centroids:
    """Stands for the transform of that name."""


class Compression:
    """Two kernels of one path before and after `finish`, and one that is only quantized."""

    def __init__(self, before, after):
        self.after = after
        self.state = types.SimpleNamespace(chains=lambda: self.now)
        self.now = self.chains(before)

    def chains(self, value):
        both = [Mask(), Centroids()]
        kinds = ((HELD, both), (value, both), (np.arange(9.0), []))
        return [types.SimpleNamespace(variable=Variable(v), transforms=t) for v, t in kinds]

    def finish(self):
        self.now = self.chains(self.after)


class Variable(np.ndarray):
    """An array with a path."""

    path = "k"

    def __new__(cls, value):
        return np.array(value).view(cls)


HELD = np.repeat([0.0, 0.0, 0.0, 1.0, 2.0], 12).reshape(12, 5)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (HELD, HELD, []),
        (HELD, HELD + 1, ["1 k: changed by finish"]),
        (np.arange(60.0), np.arange(60.0), ["1 k: fewer than half are zero", "1 k: 60 values"]),
    ],
)
def test_broken_promises_of_training_are_named(bench, before, after, told):
    compression = Compression(before, after)
    kernels = bench.phases.treated(compression)
    assert list(kernels) == ["0 k", "1 k"]
    assert bench.phases.broken_laws(kernels, compression) == told


def test_broken_promises_of_the_file_are_named(bench):
    held = np.repeat([0, 0, 0, 1, 2], 100).reshape(20, 25)
    free = np.arange(1, 501).reshape(20, 25)
    file = types.SimpleNamespace(kernels=lambda: {"layer/t": held})
    assert bench.phases.broken_file({"0 layer/k": held, "1 layer/embeddings": 0 * held}, file) == []
    file = types.SimpleNamespace(kernels=lambda: {"layer/t": free})
    assert bench.phases.broken_file({"0 layer/k": held}, file) == [
        "layer/t: off the grid",
        "of 300 zeros 0 are in the file",
    ]


def test_weights_that_begin_as_a_constant_are_moved(bench_module):
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    kernel = model.layers[0].kernel.numpy()
    bench_module("shaken_norms").shake_constants(model, np.random.default_rng(0), 0.1)
    assert np.array_equal(model.layers[0].kernel.numpy(), kernel)
    for variable in (model.layers[0].bias, model.layers[1].gamma, model.layers[1].beta):
        assert np.ptp(variable.numpy()) > 0
    assert np.ptp(model.layers[1].moving_mean.numpy()) == 0


@pytest.mark.parametrize(
    ("error", "raw"),
    [
        (ValueError("convert: layer 'a' has no integer form. Use mode='dynamic'."), False),
        (RuntimeError("convert: layer 'a' has no integer form."), True),
        (ValueError("'tf.Transpose' op x should be of the same rank"), True),
        (ValueError("The runtime cannot load this file with XNNPACK: tflite/kernels/conv.cc:390"), True),
        (KeyError("block_1"), True),
    ],
)
def test_text_without_a_layer_is_raw(bench, error, raw):
    assert bench.phases.is_raw(error) is raw


def test_the_refusal_before_a_remedy_that_failed_is_told(bench, monkeypatch):
    import tfcompress as tfc

    refusal = tfc.NotFullyInteger([])

    def integer_file(model, x):
        try:
            raise refusal
        except tfc.NotFullyInteger:
            try:
                raise KeyError("inner")
            except KeyError:
                raise ValueError("the way out does not work") from None

    monkeypatch.setattr(bench.phases, "integer_file", integer_file)
    monkeypatch.setattr(bench.phases, "built", lambda name: (None, None))
    row = bench.phases.int8("x")
    assert row["int8"].startswith("refused: NotFullyInteger: ")
    assert row["int8"].endswith("; then ValueError: the way out does not work") and not row["raw"]
