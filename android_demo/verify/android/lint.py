"""Runs Android Lint's own program without Gradle and without an SDK: all checks, warnings are errors.

No api-versions.xml exists here, so that NewApi finds nothing: the compile stage does that work.
"""

from __future__ import annotations

import pathlib

from android import resources
from android.built import CORE_CLASSES, RUNTIME_CLASSES, aapt2, jar, tool
from stagekit import DEMO, Failed, java

# Gradle's files are not part of this run, and the newest level is not known to an SDK that is not there.
_OUT_OF_PLACE = ("OldTargetApi", "MissingVersion", "GradleDependency")
# Opinions that do not fit: selectable labels would take the touches of the cards they lie on, one word may stand in two
# places and be translated apart, R8 takes synthetic accessors away, and @RequiresApi comes with androidx.
_OPINIONS = ("SelectableText", "DuplicateStrings", "SyntheticAccessor", "UseRequiresApi")
DISABLED = _OUT_OF_PLACE + _OPINIONS
_LEVEL = 35


def _sdk(folder: pathlib.Path) -> pathlib.Path:
    """As much of an SDK as Lint looks at."""
    platform = folder / f"sdk/platforms/android-{_LEVEL}"
    platform.mkdir(parents=True)
    (platform / "android.jar").symlink_to(jar("android-all"))
    (platform / "source.properties").write_text(
        f"Pkg.Desc=Android\nAndroidVersion.ApiLevel={_LEVEL}\nPkg.Revision=1\nPlatform.Version=15\n", "utf-8"
    )
    (platform / "build.prop").write_text(f"ro.build.version.sdk={_LEVEL}\nro.build.version.codename=REL\n", "utf-8")
    return folder / "sdk"


def _manifest(app: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """The manifest with package and levels, as the build adds them; `tools:` stays, Lint reads it."""
    text = (app / "src/main/AndroidManifest.xml").read_text("utf-8")
    levels = f'android:minSdkVersion="{resources.MIN_SDK}" android:targetSdkVersion="{resources.TARGET_SDK}"'
    text = text.replace("<manifest ", f'<manifest package="{resources.PACKAGE}" ', 1)
    target = folder / "AndroidManifest.xml"
    target.write_text(text.replace("    <application", f"    <uses-sdk {levels} />\n\n    <application", 1), "utf-8")
    return target


def linted(folder: pathlib.Path, app: pathlib.Path = DEMO / "app", *checks: str) -> int:
    """Lints the app of flavour central with core; returns the number of source files. Fails with the report.

    `checks` name the only ones to run; without them all run but those of `DISABLED`.
    """
    sources = [*(DEMO / "app/src/main/kotlin").rglob("*.kt"), *(DEMO / "app/src/central/kotlin").rglob("*.kt")]
    sources += [*(DEMO / "core/src/main/kotlin").rglob("*.kt")]
    # Linked for itself: the tests link what they are given over what was there.
    resources.link(*aapt2(), app, "central", folder / "res")
    sources += (folder / "res/java").rglob("*.java")
    lines = [f'<project><sdk dir="{_sdk(folder)}"/><root dir="{DEMO}"/>']
    lines.append(f'<module name="app" android="true" library="false" compile-sdk-version="{_LEVEL}">')
    lines.append(f'<manifest file="{_manifest(app, folder)}"/>')
    lines += [f'<resource file="{app / f"src/{source}/res"}"/>' for source in ("main", "central")]
    lines += [f'<src file="{file}"/>' for file in sorted(sources)]
    lines += [f'<classpath jar="{path}"/>' for path in (jar("kotlin-stdlib"), RUNTIME_CLASSES, CORE_CLASSES)]
    project, report = folder / "project.xml", folder / "report.txt"
    project.write_text("\n".join([*lines, "</module></project>"]), "utf-8")
    program = ["-Xmx2g", "-cp", f"{tool('lint')}/*", "com.android.tools.lint.Main"]
    which = ["--check", ",".join(checks)] if checks else ["-Wall", "--disable", ",".join(DISABLED)]
    flags = ["--offline", "--exitcode", "-Werror", *which]
    try:
        java(*program, *flags, "--sdk-home", folder / "sdk", "--project", project, "--text", report)
    except Failed as problem:
        raise Failed(report.read_text("utf-8") if report.exists() else str(problem)) from problem
    return len(sources)
