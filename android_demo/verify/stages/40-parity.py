"""Stage parity: the app's own code on this machine, through LiteRT's C library, answers as Python does."""

import json
import pathlib
import re
import shutil

from checks import junit, kotlinc, surefire
from compiling import CORE, CORE_TESTS, HOST, HOST_TESTS, build
from stagekit import (
    DEMO,
    REPOSITORY,
    VERIFY,
    CannotRun,
    Failed,
    command,
    main,
    python,
    tool,
    work,
)

_ANSWERS = VERIFY / "work" / "parity"
_TESTS = ("org.tfcompress.demo.host.ParityTest", "org.tfcompress.demo.host.ReportsTest")
_ASSETS = "app/src/main/assets/models"
_VECTORS = pathlib.Path("tests/android/vectors/parity")


def check() -> str:
    """Asks Python first, then the app's code, then lets Python read what the app wrote."""
    properties = _ask_python()
    tests = ",".join(name.rpartition(".")[2] for name in _TESTS)
    surefire.clear("host-engine")
    build(
        *CORE_TESTS.off,
        *("-pl", "core,host-engine", "test", f"-Dtest={tests}", "-Dsurefire.failIfNoSpecifiedTests=false"),
        *("-Djacoco.skip", "-Djacoco.agent=", *(f"-D{name}={value}" for name, value in properties.items())),
        uses=(CORE, HOST, HOST_TESTS),
    )
    out = surefire.printed(surefire.folder("host-engine"))
    print(out)
    identical = re.findall(r"^PARITY (\S+): (\d+) outputs identical$", out, re.M)
    within = re.findall(r"^PARITY (\S+): (\d+) outputs within (\S+)$", out, re.M)
    models = {row[0] for row in (*identical, *within)}
    if not identical or not within:
        raise Failed("no output was compared")
    print(_read_reports())
    return (
        f"{len(models)} variants (the encrypted one too) by LiteRT {properties['litert.version']}: "
        f"{sum(int(row[1]) for row in identical)} int8 outputs identical to Python's, 1 and 2 threads; "
        f"{sum(int(row[1]) for row in within)} float32 outputs within {max(float(row[2]) for row in within):g}; "
        "golden self-tests; Python reads the app's benchmark report and monitoring log"
    )


def _ask_python() -> dict[str, str]:
    """Python's answers, and the system properties with which the tests find them."""
    shutil.rmtree(_ANSWERS, ignore_errors=True)
    try:
        said = command([python(), VERIFY / "parity.py", "--out", _ANSWERS]).split()
    except Failed as problem:
        if "ModuleNotFoundError" in str(problem):
            raise CannotRun(f"{python()} lacks ai-edge-litert; PYTHON names another interpreter") from problem
        raise
    library, version = said[-2:]
    if not pathlib.Path(library).is_file():
        raise CannotRun(f"ai-edge-litert {version} has no libLiteRt.so")
    found = {"litert.lib": library, "litert.version": version, "parity.dir": str(_ANSWERS)}
    (_ANSWERS / "properties.json").write_text(json.dumps(found), "utf-8")
    return found


def _read_reports(folder: pathlib.Path = _ANSWERS) -> str:
    try:
        return command([python(), VERIFY / "read_reports.py", folder])
    except Failed as problem:
        if "No module named 'tfcompress'" in str(problem):
            raise CannotRun(f"{python()} lacks tfcompress; PYTHON names another interpreter") from problem
        raise


def _again(demo: pathlib.Path, answers: pathlib.Path) -> None:
    """The compiled test of parity on other files."""
    found = json.loads((_ANSWERS / "properties.json").read_text("utf-8"))
    path = [HOST.folder, HOST_TESTS.folder, CORE.folder, kotlinc.stdlib(), tool("jna", "jna.jar")]
    junit.run(path, _TESTS[:1], {**found, "demo.dir": demo, "parity.dir": answers})


def _flip(path: pathlib.Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def flipped_answer() -> None:
    """One bit of one of Python's answers."""
    answers = work("parity-control") / "answers"
    shutil.copytree(_ANSWERS, answers)
    _flip(answers / "int8_ptq.out", 1000)
    _again(DEMO, answers)


def flipped_model() -> None:
    """One bit of one bundled model."""
    demo = work("parity-control") / "repository" / "demo"
    shutil.copytree(DEMO / _ASSETS, demo / _ASSETS)
    shutil.copytree(REPOSITORY / _VECTORS, demo.parent / _VECTORS)
    _flip(demo / _ASSETS / "int8_qat.tflite", 5000)
    _again(demo, _ANSWERS)


def incomplete_report() -> None:
    """A benchmark report without the order of its blocks."""
    folder = work("parity-control")
    for name in ("bench.json", "monitor.json"):
        shutil.copy(_ANSWERS / name, folder)
    document = json.loads((folder / "bench.json").read_text("utf-8"))
    del document["order"]
    (folder / "bench.json").write_text(json.dumps(document), "utf-8")
    _read_reports(folder)


def miscounted_log() -> None:
    """A monitoring log whose histogram does not sum to its count."""
    folder = work("parity-control")
    shutil.copy(_ANSWERS / "bench.json", folder)
    document = json.loads((_ANSWERS / "monitor.json").read_text("utf-8"))
    document["days"][0]["variants"][0]["count"] += 1
    (folder / "monitor.json").write_text(json.dumps(document), "utf-8")
    _read_reports(folder)


if __name__ == "__main__":
    main(
        check,
        {
            "flipped-answer": (flipped_answer, r"(?s)int8_ptq, 1 thread.*array contents differ at index \[1000\]"),
            "flipped-model": (flipped_model, "(?s)int8_qat.*WRONG_HASH"),
            "incomplete-report": (incomplete_report, "must have order"),
            "miscounted-log": (miscounted_log, "monitor.json"),
        },
    )
