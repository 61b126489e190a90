"""What every stage shares: its contract with `run`, and the commands that stages start.

A stage ends with exit code 0 (its last line says what was checked), 1 (a check failed) or 2 (it could not
run; its last line says why). Each of its controls plants a fault in a copy and has to end with 1 for
the reason it names; anything else is an exit code of 3 or more.
"""

import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

VERIFY = pathlib.Path(__file__).parent.resolve()
DEMO = VERIFY.parent
REPOSITORY = DEMO.parent
# The first compiler of the JVM alone: these processes are short. One collector thread: cores are few.
# That compiler alone gets 48 MB for its code by default, too little for a build of several modules.
JVM = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=240m")
_TAIL = 40


class Failed(Exception):
    """A check found a fault; the text shows it, and `output` is all that a program printed."""

    def __init__(self, text: str, output: str = ""):
        super().__init__(text)
        self.output = output


class CannotRun(Exception):
    """Something that the stage needs is missing; the text says what."""


def main(check: Callable[[], str], controls: Mapping[str, tuple[Callable[[], object], str]]) -> None:
    """Runs a stage or one of its controls and ends the process.

    Args:
        check: Does the stage and returns what was checked.
        controls: By name, a function that plants a fault and runs the check on it, and a regular
            expression that has to be found in the failure.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--controls", action="store_true", help="print the names of the negative controls")
    parser.add_argument("--control", choices=sorted(controls), help="run one; it has to end with 1")
    flags = parser.parse_args()
    if flags.controls:
        print("\n".join(controls))
        sys.exit(0)
    function, reason = controls[flags.control] if flags.control else (check, "")
    try:
        said = function()
    except CannotRun as problem:
        print(problem)
        sys.exit(2)
    except Failed as problem:
        print(problem)
        if not re.search(reason, str(problem)):
            print(f"red, but not for {reason!r}")
            sys.exit(4)
        sys.exit(1)
    print(said or "not red")
    sys.exit(0)


def work(name: str) -> pathlib.Path:
    """An empty scratch folder of that name below `verify/work`."""
    folder = pathlib.Path(os.environ.get("VERIFY_WORK", VERIFY / "work")) / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def python() -> str:
    """The interpreter that has tfcompress and ai-edge-litert: `PYTHON`, or the one that runs this."""
    return os.environ.get("PYTHON", sys.executable)


def command(arguments: Sequence[object], cwd: pathlib.Path = DEMO, env: Mapping[str, str] | None = None) -> str:
    """Runs a program and returns what it printed.

    Raises:
        CannotRun: If there is no such program.
        Failed: If it ends with another code than 0; the text holds the end of what it printed.
    """
    words = [str(word) for word in arguments]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as problem:
        raise CannotRun(f"{words[0]} is not installed") from problem
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-_TAIL:])
        raise Failed(f"{pathlib.Path(words[0]).name} ended with {done.returncode}\n{tail}", done.stdout)
    return done.stdout


def maven(*arguments: str) -> str:
    """Runs Maven in `verify/`; `MVN` may hold another command line, `mvn -q -o` for instance.

    Raises:
        CannotRun: If Maven is missing or can't fetch what it needs.
        Failed: If the build fails.
    """
    try:
        words = shlex.split(os.environ.get("MVN", "mvn -q"))
        return command([*words, *arguments], VERIFY, {"MAVEN_OPTS": os.environ.get("MAVEN_OPTS", " ".join(JVM))})
    except Failed as problem:
        missing = re.search(r"Could not (?:transfer|resolve|find) .*|Cannot access .* in offline mode.*", str(problem))
        if missing:
            raise CannotRun(f"Maven: {missing[0][:300]}") from problem
        raise


def java(*arguments: object) -> str:
    """Runs a Java program on a small JVM."""
    return command(["java", *JVM, *arguments])


def tool(*parts: str) -> pathlib.Path:
    """A file or folder that the Maven module `tools` fetches; fetched now if it is missing or its pom is newer."""
    target = VERIFY / "tools" / "target"
    path, stamp = target.joinpath(*parts), target / "fetched"
    poms = max((VERIFY / pom).stat().st_mtime for pom in ("pom.xml", "tools/pom.xml"))
    if not path.exists() or not stamp.exists() or stamp.stat().st_mtime < poms:
        maven("-pl", "tools", "generate-sources")
        stamp.touch()
    return path


def replaced(path: pathlib.Path, old: str, new: str) -> None:
    """Plants a fault: one place of a (copied) file, which has to be there."""
    text = path.read_text("utf-8")
    if text.count(old) < 1:
        raise CannotRun(f"{path.name} has no {old!r} to plant a fault in")
    path.write_text(text.replace(old, new, 1), "utf-8")
