"""Runs Robolectric tests through Maven and reads what they left: counts, coverage, screenshots."""

from __future__ import annotations

import csv
import pathlib
import shutil
import xml.etree.ElementTree as ET

from android.built import swept
from stagekit import DEMO, VERIFY, Failed, compiled_core, maven, work

_MODULES = "core,tflite-central,androidx-test-shim,app"


# For controls: the app's classes as the last run of the stage left them; faults are planted in what it reads.
AS_COMPILED = ("-Dapp.compile.phase=none", "-Dapp.test.compile.phase=none")


def tested(pattern: str, module: str = "app", more_modules: str = "", *arguments: str) -> int:
    """Runs the tests of `pattern` in `module`; returns how many there were. Fails where one fails or none ran.

    The app is compiled anew, but not where `arguments` hold `AS_COMPILED` and its classes are there.
    """
    reports = VERIFY / module / "target/surefire-reports"
    shutil.rmtree(reports, ignore_errors=True)
    modules = f"{_MODULES},{more_modules}" if more_modules else _MODULES
    names = (f"-Dtest={pattern}", "-Dsurefire.failIfNoSpecifiedTests=false")
    try:
        if not (set(AS_COMPILED) <= set(arguments) and (VERIFY / "app/target/test-classes").exists()):
            arguments = tuple(word for word in arguments if word not in AS_COMPILED)
            swept("app", module)
        maven(*compiled_core(), "-pl", modules, "test", *names, *arguments)
    except Failed as problem:
        raise Failed(f"{problem}\n{_failures(reports)}") from problem
    count = sum(int(ET.parse(file).getroot().get("tests", "0")) for file in reports.glob("TEST-*.xml"))
    if not count:
        raise Failed(f"no test of {pattern} ran in {module}")
    return count


def _failures(reports: pathlib.Path) -> str:
    """Names and first lines of what failed."""
    found = []
    for file in sorted(reports.glob("TEST-*.xml")):
        for case in ET.parse(file).getroot().iter("testcase"):
            for problem in (*case.iter("failure"), *case.iter("error")):
                first = (problem.get("message") or problem.text or "").strip().splitlines()[:2]
                found.append(f"{case.get('classname')}: {case.get('name')}: {' '.join(first)}")
    return "\n".join(found)


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
