"""Runs Robolectric tests through Maven and reads what they left: counts, coverage, screenshots."""

from __future__ import annotations

import csv
import pathlib
import shutil
from collections.abc import Sequence

from checks import surefire
from compiling import Classes, build
from stagekit import DEMO, VERIFY, Failed, work

_MODULES = ("core", "tflite-central", "androidx-test-shim", "app")
# Checked where the app is compiled.
_KNOWN = ("-Danimal.sniffer.skip=true",)


def tested(pattern: str, *arguments: str, uses: Sequence[Classes], modules: Sequence[str] = ()) -> int:
    """Runs the tests of `pattern` in the module of the last of `uses`; returns how many there were.

    Args:
        pattern: As Maven's `-Dtest` takes it.
        *arguments: Maven's.
        uses: The classes that take part, those of the tests last.
        modules: Maven modules besides those of the app.

    Raises:
        Failed: If a test fails, with the names of those that did, or if none ran.
    """
    module = uses[-1].module
    surefire.clear(module)
    names = (f"-Dtest={pattern}", "-Dsurefire.failIfNoSpecifiedTests=false")
    reports = surefire.folder(module)
    try:
        build("-pl", ",".join((*_MODULES, *modules)), "test", *names, *_KNOWN, *arguments, uses=uses)
    except Failed as problem:
        raise Failed(f"{problem}\n{surefire.failures(reports)}") from problem
    count = surefire.count(reports)
    if not count:
        raise Failed(f"no test of {pattern} ran in {module}")
    return count


def coverage() -> tuple[int, int]:
    """Lines of the app that the last run covered, and all."""
    with (VERIFY / "app/target/site/jacoco/jacoco.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    covered = sum(int(row["LINE_COVERED"]) for row in rows)
    return covered, covered + sum(int(row["LINE_MISSED"]) for row in rows)


def copied_app(name: str) -> pathlib.Path:
    """A copy of what is linked and packed of the app: manifest, resources, assets, Gradle script."""
    folder = work(name)
    for part in (
        "src/main/AndroidManifest.xml",
        "src/main/res",
        "src/main/assets",
        "src/central/res",
        "src/litert/res",
    ):
        source, target = DEMO / "app" / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    shutil.copy(DEMO / "app/build.gradle.kts", folder)
    return folder


def flip(file: pathlib.Path, at: int = -1000) -> None:
    """Changes one bit."""
    content = bytearray(file.read_bytes())
    content[at % len(content)] ^= 1
    file.write_bytes(content)
