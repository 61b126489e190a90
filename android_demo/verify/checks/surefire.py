"""What Maven's test runner left of a module's tests: how many there were, what failed, what they printed.

The reports hold what the tests themselves printed. Maven's own output is no place to look for it: native libraries
write into that at any moment, in the middle of a line too.
"""

import pathlib
import shutil
import xml.etree.ElementTree as ElementTree

from stagekit import VERIFY


def folder(module: str) -> pathlib.Path:
    """Where the reports of a Maven module lie."""
    return VERIFY / module / "target/surefire-reports"


def clear(module: str) -> None:
    """Takes the reports of earlier runs away: those of removed tests would stay."""
    shutil.rmtree(folder(module), ignore_errors=True)


def suites(reports: pathlib.Path) -> list[ElementTree.Element]:
    """The test classes that ran, one element each."""
    return [ElementTree.parse(file).getroot() for file in sorted(reports.glob("TEST-*.xml"))]


def count(reports: pathlib.Path, what: str = "tests") -> int:
    """Tests that ran; with `what="skipped"` those that were left out."""
    return sum(int(suite.get(what, 0)) for suite in suites(reports))


def printed(reports: pathlib.Path) -> str:
    """What the tests printed."""
    return "\n".join(out.text or "" for suite in suites(reports) for out in suite.iter("system-out"))


def properties(reports: pathlib.Path) -> dict[str, str]:
    """System properties of the JVM that ran the tests; the class path of the tests is `surefire.test.class.path`."""
    suite = next(iter(suites(reports)), None)
    found = () if suite is None else suite.iter("property")
    return {entry.get("name", ""): entry.get("value", "") for entry in found}


def failures(reports: pathlib.Path) -> str:
    """Names and first lines of what failed."""
    found = []
    for suite in suites(reports):
        for case in suite.iter("testcase"):
            for problem in (*case.iter("failure"), *case.iter("error")):
                first = (problem.get("message") or problem.text or "").strip().splitlines()[:2]
                found.append(f"{case.get('classname')}: {case.get('name')}: {' '.join(first)}")
    return "\n".join(found)
