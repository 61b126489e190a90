"""Whether the app calls only what Android 8.0 (API 26) has.

R8's TraceReferences checks every reference of the compiled app against the framework of API 26, inherited calls too.
Newer calls live in classes named after their level (`Api30`); each use of one must stand under a check of the level.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import zipfile

from android.built import CLASSES, CORE_CLASSES, RUNTIME_CLASSES, jar, jdk
from stagekit import DEMO, Failed, java, work

_GUARDED = re.compile(r"Api\d+(\$.*)?\.class")
_USE = re.compile(r"\bApi(\d+)\.\w")
_LINES_ABOVE = 6


def packed(folders: list[pathlib.Path], target: pathlib.Path, guarded: bool) -> pathlib.Path:
    """A jar of the class files in `folders`: the guarded classes only, or all others."""
    with zipfile.ZipFile(target, "w") as archive:
        for folder in folders:
            for file in sorted(folder.rglob("*.class")):
                if bool(_GUARDED.fullmatch(file.name)) == guarded:
                    archive.write(file, str(file.relative_to(folder)))
    return target


def trace(classes: pathlib.Path = CLASSES) -> int:
    """Checks the references of the compiled app; returns how many class files were looked at."""
    folder = work("levels")
    app = packed([classes, CORE_CLASSES], folder / "app.jar", guarded=False)
    newer = packed([classes], folder / "newer.jar", guarded=True)
    runtime = packed([RUNTIME_CLASSES], folder / "runtime.jar", guarded=False)
    arguments: list[object] = ["-cp", jar("r8"), "com.android.tools.r8.tracereferences.TraceReferences", "--check"]
    for library in (jar("android-all-26"), jdk(), jar("annotations")):
        arguments += ["--lib", library]
    for target in (newer, runtime, jar("kotlin-stdlib")):
        arguments += ["--target", target]
    java(*arguments, "--source", app)
    return len(zipfile.ZipFile(app).namelist())


def guards(sources: pathlib.Path = DEMO / "app/src") -> int:
    """Checks that each use of `ApiNN` has a check of that level on its line or shortly above; returns the uses."""
    uses = 0
    for file in sorted(sources.glob("*/kotlin/**/*.kt")):
        lines = file.read_text("utf-8").splitlines()
        for number, line in enumerate(lines):
            for level in _USE.findall(line):
                uses += 1
                near = "\n".join(lines[max(0, number - _LINES_ABOVE) : number + 1])
                if f"SDK_INT >= {level}" not in near and f"SDK_INT < {level}" not in near:
                    raise Failed(f"{file.relative_to(sources)}:{number + 1}: Api{level} without a check of SDK_INT")
    return uses


def with_planted(classes: pathlib.Path) -> pathlib.Path:
    """A copy of the app's classes together with `classes`."""
    folder = work("levels-planted")
    shutil.copytree(CLASSES, folder, dirs_exist_ok=True)
    shutil.copytree(classes, folder, dirs_exist_ok=True)
    return folder
