"""Stage real-activity: the whole app with its bundled models, computed by LiteRT's C library on this machine."""

import re

from android.robolectric import copied_app, flip, tested, tested_again
from checks import surefire
from compiling import APP, APP_TESTS, CORE, CORE_TESTS, HOST, HOST_TESTS, REAL_TESTS
from stagekit import CannotRun, Failed, command, main, python

_FIND = "import ai_edge_litert, pathlib; print(pathlib.Path(ai_edge_litert.__file__).parent / 'libLiteRt.so')"
# The app's own tests do not run here: their coverage means nothing.
_PART = "-Djacoco.haltOnFailure=false"


def _library() -> str:
    """Path of LiteRT's C library in the Python package."""
    try:
        return command([python(), "-c", _FIND]).strip().splitlines()[-1]
    except Failed as problem:
        raise CannotRun(f"{python()} has no ai-edge-litert") from problem


def check() -> str:
    """Runs the tests and reads what they printed."""
    # Tests of other modules do not run here.
    off = (*CORE_TESTS.off, *HOST_TESTS.off, *APP_TESTS.off)
    arguments = (f"-Dlitert.lib={_library()}", _PART, *off)
    uses = (CORE, HOST, APP, REAL_TESTS)
    count = tested("RealActivityTest", *arguments, uses=uses, modules=("host-engine", "app-real"))
    said = surefire.printed(surefire.folder("app-real"))
    found = re.search(r"^REAL samples=(\d+) answers=(\d+) right=(\d+)$", said, re.M)
    if not found:
        raise Failed("the tests did not say how the samples were read")
    samples, answers, right = found.groups()
    return (
        f"{count} tests: drawing, self-test of each model, {samples} samples ({right} of {answers} answers right, "
        "differences as the host found them), passphrase, benchmark; real activity, models, threads and inference"
    )


def flipped_model() -> None:
    """One bit of a bundled model."""
    app = copied_app("real-control")
    flip(app / "src/main/assets/models/int8_qat.tflite")
    tested_again("RealActivityTest#every model passes its self-test and reads a drawn seven", app, REAL_TESTS)


if __name__ == "__main__":
    main(check, {"flipped-model": (flipped_model, "all but the encrypted one run|Passed|WRONG_HASH|self-test")})
