"""The Kotlin compiler without Maven: for one planted fault, or for Gradle scripts."""

import pathlib
from collections.abc import Iterable, Sequence

from stagekit import Failed, java, tool


def stdlib() -> pathlib.Path:
    """The jar of kotlin-stdlib."""
    return next(tool("kotlinc").glob("kotlin-stdlib-[0-9]*.jar"))


def compile_to(
    out: pathlib.Path,
    sources: Iterable[pathlib.Path],
    classes: Iterable[pathlib.Path],
    module: str = "planted",
    options: Sequence[object] = (),
) -> None:
    """Compiles sources to class files.

    Args:
        out: Where the class files go.
        sources: Files or folders.
        classes: Class path.
        module: The name of the module; internal names of another build of it are seen under the same.
        options: Further arguments of the compiler.

    Raises:
        Failed: With the compiler's messages.
    """
    jars = sorted(tool("kotlinc").glob("*.jar"))
    path = [str(entry) for entry in classes]
    try:
        java(
            *("-cp", ":".join(map(str, jars)), "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"),
            *("-no-stdlib", "-no-reflect", "-jvm-target", "17", "-module-name", module),
            *(f"-Xfriend-paths={','.join(path)}", "-cp", ":".join(path), "-d", out, *options, *sources),
        )
    except Failed as problem:
        lines = problem.output.splitlines()
        raise Failed("\n".join(line for line in lines if "error:" in line) or str(problem)) from problem
