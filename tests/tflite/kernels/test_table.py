"""Every combination of operation, width and scales runs against NumPy; the table says which are right, and no more."""

import importlib.metadata
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tfcompress.file_formats import FORMATS
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.kernels.table import KERNELS, kernel_for
from tfcompress.tflite.kernels.widths import needed_runtime, unsupported_widths, version_numbers

RUNTIME = tuple(int(part) for part in importlib.metadata.version("ai-edge-litert").split(".")[:2])
# The runtime refuses these with a message, whatever the width: nothing is computed wrong.
REFUSED_AT_ANY_WIDTH = {
    ("conv in groups", "float32", False),
    ("depthwise", "float32", False),
    ("product", "int16", False),
}


@pytest.fixture(scope="module")
def ran(one_op_files, tmp_path_factory):
    """File and answers (without and with XNNPACK) of each case, from processes of their own."""
    if RUNTIME < (2, 3):
        pytest.skip("the table is that of LiteRT from 2.3 on; older runtimes: tests/bench/kernels.py")
    folder = tmp_path_factory.mktemp("kernels")
    files = {case: one_op_files.OneOpFile(case) for case in one_op_files.cases()}
    for number, file in enumerate(files.values()):
        file.save(folder / f"{number}.tflite")
    script = pathlib.Path(one_op_files.__file__).with_name("run_files.py")
    run = [sys.executable, str(script), "ai_edge_litert.interpreter", str(folder)]
    subprocess.run(run, check=True, stderr=subprocess.DEVNULL)
    return {case: (file, one_op_files.answers(folder / f"{n}.tflite")) for n, (case, file) in enumerate(files.items())}


def is_refused(file):
    """Whether the file is not taken, because of its widths or because its types contradict each other."""
    try:
        return bool(list(unsupported_widths(Artifact(file.content).model)))
    except ValueError:
        return True


@pytest.mark.slow
def test_what_the_table_knows_is_right_and_what_it_does_not_know_is_not(ran):
    known, right = {}, {}
    for case, (file, found) in ran.items():
        if (case.kind, case.activations, case.per_channel) in REFUSED_AT_ANY_WIDTH or case.weights == "int8":
            continue
        known[str(case)] = not is_refused(file)
        right[str(case)] = all(file.is_right(answer) for answer, _ in found.values())
    assert known == right
    assert set(right.values()) == {True, False}


@pytest.mark.slow
def test_eight_bit_weights_are_right_wherever_the_runtime_runs_them(ran):
    checked = 0
    for file, found in (row for case, row in ran.items() if case.weights == "int8"):
        for answer, _ in found.values():
            assert answer is None or file.is_right(answer), str(file.case)
            checked += answer is not None
    assert checked > 40


@pytest.mark.slow
def test_no_answer_is_wrong_where_the_file_is_not_refused(ran):
    for case, (file, found) in ran.items():
        if not is_refused(file):
            assert all(answer is None or file.is_right(answer) for answer, _ in found.values()), str(case)


@pytest.mark.slow
def test_xnnpack_takes_what_the_table_calls_fast(ran):
    taken = {}
    for case, (file, found) in ran.items():
        # rows of an odd number of codes are left to the plain kernels
        if case.weights != "int8" and case.kind == "dense of a picture":
            model = Artifact(file.content).model
            (op,) = model.graphs[0].ops
            row = kernel_for(op.name, case.weights, case.activations, case.per_channel, 4, True)
            taken[str(case)] = bool(row.fast_since), found["xnnpack"][1]
    assert taken
    assert all(said == seen for said, seen in taken.values()), taken


@pytest.mark.parametrize("row", KERNELS, ids=str)
def test_every_row_is_found_and_fast_no_sooner_than_right(row):
    assert kernel_for(row.op, row.weights, row.activations, row.per_channel, row.most_rank or 4, True) is row
    assert not row.fast_since or version_numbers(row.since) <= version_numbers(row.fast_since)


@pytest.mark.parametrize(
    ("case", "version"),
    [
        (("conv 3x3", "int8", "int8", True), ""),
        (("conv 3x3", "int4", "int8", True), "2.14"),
        (("conv 3x3", "int4", "int16", True), "2.19"),
        (("dense", "int4", "int8", True), "2.19"),
        (("dense", "int2", "int8", False), "2.21"),
        (("dense", "int8", "int16", True), "1.15"),
        (("dense of a picture", "int8", "int16", True), "2.19"),
    ],
    ids=str,
)
def test_a_file_needs_the_runtime_that_computes_it_right(one_op_files, case, version):
    artifact = Artifact(one_op_files.OneOpFile(one_op_files.Case(*case)).content)
    assert needed_runtime(artifact.model) == version
    assert artifact.min_runtime == version  # these files state none


def test_the_version_in_a_file_is_raised_never_lowered(tiny_files):
    artifact = Artifact(tiny_files["int8"])
    assert artifact.min_runtime == artifact.model.min_runtime != ""


def test_files_of_our_formats_have_only_widths_that_are_right(tiny_files):
    for name, content in tiny_files.items():
        assert list(unsupported_widths(Artifact(content).model)) == [], name
    assert {row.weights.bits for row in FORMATS.values() if row.weights} == {8}


def test_numpys_answer_is_that_of_a_loop(one_op_files):
    file = one_op_files.OneOpFile(one_op_files.Case("conv 3x3", "int8", "float32", False))
    w = (file.codes * file.scales.astype("float64")).reshape(file.codes.shape)
    x = file.x.astype("float64")
    by_hand = (
        sum(x[0, 1 + r, 2 + c, i] * w[4, r, c, i] for r, c, i in np.ndindex(3, 3, 8)) + file.bias[4] * file.scales[0]
    )
    assert file.expected[0, 1, 2, 4] == pytest.approx(by_hand, rel=1e-5)
