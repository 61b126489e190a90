"""Kotlin sources and Gradle scripts pass ktlint and detekt."""

import pathlib

from checks.xml_files import sources
from stagekit import Failed, java, tool

# Kotlin's embedded compiler inside both tools reaches into the JDK.
_OPENED = ("--add-opens", "java.base/java.lang=ALL-UNNAMED")


def ktlint(demo: pathlib.Path) -> int:
    """The number of files that ktlint looked at."""
    files = [str(file.relative_to(demo)) for pattern in ("*.kt", "*.kts") for file in sources(demo, pattern)]
    if not files:
        raise Failed("there is no Kotlin file")
    editor = f"--editorconfig={demo / '.editorconfig'}"
    java(*_OPENED, "-jar", tool("style", "ktlint-cli-all.jar"), editor, *(demo / file for file in files))
    return len(files)


def detekt(demo: pathlib.Path) -> int:
    """The number of source folders that detekt looked at."""
    folders = sorted({_source_root(demo, file) for file in sources(demo, "*.kt")})
    java(
        *(*_OPENED, "-jar", tool("style", "detekt-cli-all.jar"), "--build-upon-default-config"),
        *("--config", demo / "detekt.yml", "--input", ",".join(map(str, folders))),
    )
    return len(folders)


def _source_root(demo: pathlib.Path, file: pathlib.Path) -> pathlib.Path:
    """`core/src` of `core/src/main/kotlin/.../X.kt`."""
    parts = file.relative_to(demo).parts
    return demo.joinpath(*parts[: parts.index("src") + 1])
