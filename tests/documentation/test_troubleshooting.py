"""Each entry is headed by words of the message, which its first block gives, and which its way out does not give."""

import ast
import contextlib
import io
import pathlib
import re
import warnings

import pytest

import tfcompress

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
OURS, OTHERS = TEXT.split("\n## Messages of other tools\n")
PACKAGE = pathlib.Path(tfcompress.__file__).parent
FAILS, WARNS, WAY_OUT = "Fails", "Warns", "Way out"


def entries():
    """Heading -> text of the entry."""
    return {part.splitlines()[0]: part for part in re.split(r"^### ", OURS, flags=re.MULTILINE)[1:]}


ENTRIES = entries()


def words(heading):
    """The pieces of a message that never change, in their order."""
    (message,) = re.findall(r"^`(.+)`$", heading)
    return [piece.strip() for piece in message.split("…")]


def holds(text, pieces):
    """Whether a text has all pieces in their order."""
    rest = text
    for piece in pieces:
        if piece not in rest:
            return False
        rest = rest.split(piece, 1)[1]
    return True


def texts(tree):
    """Every text of a file, with `{}` for the values that are put into it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def source():
    files = sorted(PACKAGE.rglob("*.py"))
    return [text for file in files for text in texts(ast.parse(file.read_text(encoding="utf-8")))]


@pytest.fixture
def told():
    """Runs a block and returns what it tells: the error, the warnings, and what a command prints to stderr."""

    def run(reader, block):
        stderr, raised = io.StringIO(), None
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stderr(stderr):
            warnings.simplefilter("always")
            try:
                reader.run(block)
            except Exception as error:
                raised = error
        return raised, "\n".join([str(raised), stderr.getvalue()]), "\n".join(str(w.message) for w in caught)

    return run


def test_there_are_entries():
    assert len(ENTRIES) > 20 and OTHERS.count("\n### ") >= 4


@pytest.mark.parametrize("heading", ENTRIES)
def test_the_words_are_in_the_source(heading, source):
    assert any(holds(text, words(heading)) for text in source)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("heading", ENTRIES)
def test_the_message_comes_and_the_way_out_works(heading, pages, reader, told):
    setup = pages.blocks(OURS.split("\n## ")[0])
    reader.run(*setup)
    found = pages.blocks(ENTRIES[heading])
    titles = [block.title for block in found if block.title]
    assert titles in ([FAILS, WAY_OUT], [WARNS, WAY_OUT])
    for block in found:
        raised, error, warned = told(reader, block)
        if block.title == FAILS:
            assert raised is not None and holds(error, words(heading)), error
        elif block.title == WARNS:
            assert raised is None and holds(warned, words(heading)), (error, warned)
        else:
            assert raised is None, error
            assert not holds(warned, words(heading))
