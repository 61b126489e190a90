"""Files whose weights are too narrow for the runtime's kernels are refused wherever they come in."""

import json
import pickle

import pytest

import tfcompress as tfc
from tfcompress.android.phone_variant import phone_variant
from tfcompress.cli import main
from tfcompress.tflite.artifact import Artifact

# The runtime answers all of these without an error, and wrongly.
GARBAGE = [
    ("depthwise", "int4", "int16", True),
    ("depthwise", "int4", "int16", False),
    ("conv 3x3", "int2", "int16", False),
    ("conv 3x3", "int2", "float32", True),
    ("lookup", "int4", "int8", False),
    ("lookup of floats in odd rows", "int4", "int8", True),
    ("gather in odd rows", "int4", "int8", False),
]


@pytest.fixture
def made(one_op_files):
    """Function from kind, types of weights and activations, and whether each channel has a scale, to the file."""
    return lambda *case: one_op_files.OneOpFile(one_op_files.Case(*case))


@pytest.fixture(params=GARBAGE, ids=str)
def garbage(request, made):
    return made(*request.param)


def test_it_is_not_run(garbage):
    with pytest.raises(tfc.UnsupportedWidth, match=f"op 0 {garbage.kind.op}: {garbage.case.weights} weights"):
        Artifact(garbage.content).predict_codes(garbage.x_real)


def test_it_is_not_made_smaller(garbage):
    with pytest.raises(tfc.UnsupportedWidth, match="at 8 bits"):
        tfc.slim(garbage.content)


def test_it_is_not_measured(garbage):
    with pytest.raises(tfc.UnsupportedWidth):
        tfc.benchmark(garbage.content, verbose=0)


def test_no_app_gets_it(garbage):
    with pytest.raises(tfc.UnsupportedWidth):
        phone_variant("narrow", Artifact(garbage.content), 28, 10, {})


def test_inspect_shows_and_refuses_it(garbage, tmp_path, capsys):
    path = tmp_path / "narrow.tflite"
    path.write_bytes(garbage.content)
    assert main(["tfcompress", "inspect", str(path), "--json"]) == tfc.UnsupportedWidth.exit_code
    shown = capsys.readouterr()
    facts = json.loads(shown.out)
    assert [op["op"] for op in facts["ops"]] == [garbage.kind.op]
    assert len(facts["unsupported_widths"]) == 1
    assert facts["unsupported_widths"][0] in shown.err


def test_the_message_says_what_works_there(made):
    found = Artifact(made("depthwise", "int4", "int16", True).content)
    with pytest.raises(tfc.UnsupportedWidth, match="computed right are int4 weights with int8") as caught:
        tfc.slim(found)
    assert pickle.loads(pickle.dumps(caught.value)).operations == caught.value.operations


@pytest.mark.parametrize(
    "case",
    [
        ("conv 3x3", "int4", "int8", True),
        ("dense", "int2", "int8", True),
        ("gather", "int4", "int8", False),
    ],
    ids=str,
)
def test_right_widths_run(case, made):
    file = made(*case)
    assert file.is_right(Artifact(file.content).predict_codes(file.x_real))
    assert tfc.slim(file.content).size <= len(file.content)
