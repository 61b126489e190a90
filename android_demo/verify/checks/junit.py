"""JUnit without Maven: runs test classes that are already compiled."""

import pathlib
import re
from collections.abc import Iterable, Mapping

from stagekit import Failed, java, tool

# The name of a test that failed, and what it says.
_TOLD = re.compile(r"\s*(JUnit (Jupiter|Vintage):|=> )")


def run(
    path: Iterable[pathlib.Path],
    tests: Iterable[str],
    properties: Mapping[str, object],
    options: Iterable[str] = (),
) -> None:
    """Runs tests.

    Args:
        path: Class path of the tests; JUnit itself is in the console's jar.
        tests: Names of test classes, or `CLASS#METHOD`.
        properties: System properties.
        options: Further options of the JVM.

    Raises:
        Failed: If a test fails, with the names of those that did.
    """
    console = tool("junit", "junit-platform-console-standalone.jar")
    try:
        java(
            *options,
            *(f"-D{name}={value}" for name, value in properties.items()),
            *("-jar", console, "execute", "--class-path", ":".join(map(str, path))),
            *("--disable-banner", "--disable-ansi-colors", "--details=summary", "--fail-if-no-tests"),
            *(word for test in tests for word in ("--select-method" if "#" in test else "--select-class", test)),
        )
    except Failed as problem:
        told = [line.strip() for line in problem.output.splitlines() if _TOLD.match(line)]
        raise Failed("\n".join(told) or str(problem), problem.output) from problem
