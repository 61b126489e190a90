"""Stage static: XML, texts in two languages, version catalogue, ktlint, detekt."""

import pathlib
import shutil

from checks import catalog, kotlin_style, strings, xml_files
from stagekit import DEMO, main, replaced, work

_RESOURCES = "app/src/main/res"


def check() -> str:
    """Runs all five checks on the tree."""
    xml = xml_files.check(DEMO)
    entries = catalog.check(DEMO)
    texts = sum(strings.check(folder) for folder in sorted(DEMO.glob("app/src/*/res")))
    files = kotlin_style.ktlint(DEMO)
    folders = kotlin_style.detekt(DEMO)
    return (
        f"{xml} XML files well-formed; {texts} texts in en and zh with the same placeholders; {entries} catalogue "
        f"entries; ktlint on {files} files, detekt on {folders} source folders: no issue"
    )


def _copy(*parts: str) -> pathlib.Path:
    """A folder with copies of these files and folders of the demo."""
    folder = work("static-control")
    for part in parts:
        source, target = DEMO / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    return folder


def broken_xml() -> None:
    """An attribute without its quotes."""
    demo = _copy(_RESOURCES)
    replaced(demo / _RESOURCES / "values/strings.xml", 'name="', "name=")
    xml_files.check(demo)


def missing_translation() -> None:
    """One text less in Chinese."""
    demo = _copy(_RESOURCES)
    path = demo / _RESOURCES / "values-zh/strings.xml"
    text = path.read_text("utf-8")
    path.write_text(text[: text.index("<string ")] + text[text.index("</string>") + len("</string>") :], "utf-8")
    strings.check(demo / _RESOURCES)


def other_placeholder() -> None:
    """A placeholder of another kind in Chinese."""
    demo = _copy(_RESOURCES)
    replaced(demo / _RESOURCES / "values-zh/strings.xml", "%1$", "%9$")
    strings.check(demo / _RESOURCES)


def other_version() -> None:
    """Gradle builds with another Kotlin than Maven verifies with."""
    demo = _copy(
        "gradle",
        "build.gradle.kts",
        "core/build.gradle.kts",
        "app/build.gradle.kts",
        "verify/pom.xml",
        "verify/tools/pom.xml",
    )
    replaced(demo / "gradle/libs.versions.toml", 'kotlin = "2', 'kotlin = "1')
    catalog.check(demo)


def _planted(text: str) -> pathlib.Path:
    demo = _copy(".editorconfig", "detekt.yml")
    file = demo / "core/src/main/kotlin/demo/Planted.kt"
    file.parent.mkdir(parents=True)
    file.write_text(text, "utf-8")
    return demo


def import_order() -> None:
    """Imports out of order."""
    kotlin_style.ktlint(
        _planted("package demo\n\nimport java.util.Locale\nimport java.util.Date\n\nval x = Date() to Locale.ROOT\n")
    )


def swallowed_exception() -> None:
    """An exception that nobody sees."""
    body = "    try {\n        println(1)\n    } catch (e: IllegalStateException) {\n        println(2)\n    }\n"
    kotlin_style.detekt(_planted(f"package demo\n\nfun planted() {{\n{body}}}\n"))


if __name__ == "__main__":
    main(
        check,
        {
            "broken-xml": (broken_xml, "not well-formed"),
            "missing-translation": (missing_translation, "zh lacks string"),
            "other-placeholder": (other_placeholder, "has other placeholders"),
            "other-version": (other_version, "kotlin.version is 2"),
            "import-order": (import_order, "import-ordering"),
            "swallowed-exception": (swallowed_exception, "SwallowedException"),
        },
    )
