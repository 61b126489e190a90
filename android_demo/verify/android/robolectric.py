"""Runs Robolectric tests through Maven and reads what they left: counts, coverage, screenshots."""

from __future__ import annotations

import csv
import pathlib
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from android import resources
from android.built import aapt2
from checks import junit, surefire
from compiling import Classes, build
from stagekit import DEMO, VERIFY, CannotRun, Failed, work

_MODULES = ("core", "tflite-central", "androidx-test-shim", "app")
# Checked where the app is compiled.
_KNOWN = ("-Danimal.sniffer.skip=true",)
_LEVEL = 35


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


def tested_again(test: str, app: pathlib.Path, tests: Classes) -> None:
    """Runs one test of the last green run again, at one API level and without Maven, on an app with a fault planted.

    Nothing is written outside of `app`, so that other stages may go on.

    Args:
        test: `CLASS#METHOD` of the demo's package.
        app: Copy of what is packed, from `copied_app`.
        tests: Classes of the tests.

    Raises:
        CannotRun: If there was no such run.
        Failed: If the test fails.
    """
    ran = surefire.properties(surefire.folder(tests.module))
    if not ran or not tests.fit():
        raise CannotRun(f"the tests of {tests.module} did not run yet; run the stage without --control first")
    out = app / "linked"
    config = resources.configure(app, out, resources.link(*aapt2(), app, "central", out))
    kept = {name: value for name, value in ran.items() if name.startswith(("robolectric.", "litert."))}
    properties = {**kept, "robolectric.enabledSdks": _LEVEL, "screenshot.dir": app / "screenshots"}
    junit.run(
        [config, *ran["surefire.test.class.path"].split(":")], [f"{resources.PACKAGE}.{test}"], properties, _options()
    )


def _options() -> list[str]:
    """Options of the JVM for Robolectric, as Maven has them."""
    pom = ElementTree.parse(VERIFY / "pom.xml").getroot()
    found = pom.findtext("{*}properties/{*}robolectric.jvm")
    if not found:
        raise CannotRun("verify/pom.xml has no robolectric.jvm")
    return found.split()


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
