"""Stage compile: both flavours against real framework classes, and nothing newer than API 26 without a guard."""

import pathlib

from android import levels
from android.built import CLASSES, CORE_CLASSES, RUNTIME_CLASSES, compile_both, compiled, jar
from stagekit import DEMO, java, main, replaced, tool, work


def check() -> str:
    """Compiles, traces references, looks for unguarded uses of newer classes."""
    compile_both()
    classes = levels.trace()
    uses = levels.guards()
    return (
        "app compiled with -Werror against android-all 15 and tensorflow-lite 2.16.1 (central) and against LiteRT "
        f"2.3.0's signatures (litert); {classes} class files call nothing newer than API 26, {uses} guarded uses do"
    )


def _planted(body: str) -> pathlib.Path:
    """Compiles one more file of the app; a compiler error is a failure."""
    compiled()
    folder = work("compile-control")
    source = folder / "Planted.kt"
    source.write_text(f"package org.tfcompress.demo\n\n{body}\n", "utf-8")
    compiler = ":".join(str(path) for path in sorted(tool("kotlinc").glob("*.jar")))
    libraries = (jar("kotlin-stdlib"), CLASSES, CORE_CLASSES, RUNTIME_CLASSES, jar("android-all"))
    options = ["-no-stdlib", "-no-reflect", "-Werror", "-jvm-target", "1.8", "-Xjdk-release=8"]
    path = ":".join(str(library) for library in libraries)
    java(
        "-cp",
        compiler,
        "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
        *options,
        "-cp",
        path,
        "-d",
        folder / "out",
        source,
    )
    return folder / "out"


def newer_call() -> None:
    """A call that API 28 brought, inherited by every activity."""
    out = _planted("fun planted(activity: android.app.Activity) = activity.mainExecutor")
    levels.trace(levels.with_planted(out))


def unknown_call() -> None:
    """A method that the runtime's interface does not have."""
    _planted("fun planted(interpreter: org.tensorflow.lite.Interpreter) = interpreter.runForMultipleOutputs()")


def guard_lost() -> None:
    """The check of the level taken away in front of a guarded call."""
    folder = work("guard-control")
    for file in (DEMO / "app/src/main/kotlin").rglob("*.kt"):
        target = folder / "main/kotlin" / file.relative_to(DEMO / "app/src/main/kotlin")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.read_text("utf-8"), "utf-8")
    replaced(folder / "main/kotlin/org/tfcompress/demo/data/Phone.kt", "SDK_INT >= 31", "SDK_INT >= 21")
    levels.guards(folder)


if __name__ == "__main__":
    main(
        check,
        {
            "newer-call": (newer_call, "getMainExecutor"),
            "unknown-call": (unknown_call, "unresolved reference"),
            "guard-lost": (guard_lost, "Api31 without a check"),
        },
    )
