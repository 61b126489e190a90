"""Stage gradle: the build scripts have the members and types of the real Gradle and Android plugin APIs."""

import shutil

from checks import gradle_scripts
from stagekit import DEMO, main, replaced, work


def check() -> str:
    """Checks the scripts of the tree."""
    scripts = gradle_scripts.check(DEMO, work("gradle"))
    return (
        f"{scripts} scripts compile against Gradle 8.11.1's, AGP 8.13.2's and Kotlin 2.3.21's API (types only: Gradle "
        "itself did not run)"
    )


# Script, what stands there, what is planted, what the compiler has to say about it.
_MISTAKES = (
    ("settings.gradle.kts", "include(", "includ(", "includ'"),
    ("build.gradle.kts", "plugins.kotlin.jvm", "plugins.kotlin.jwm", "jwm'"),
    ("core/build.gradle.kts", "JVM_1_8", "JVM_1_80", "JVM_1_80'"),
    ("app/build.gradle.kts", "minSdk = 26", 'minSdk = "26"', "String"),
    ("app/build.gradle.kts", "noCompress", "noCompres", "noCompres'"),
)


def mistakes() -> None:
    """Five mistakes at once; each has to be found."""
    demo = work("gradle-control")
    for path in (*gradle_scripts.SCRIPTS, "gradle/libs.versions.toml"):
        (demo / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DEMO / path, demo / path)
    for path, right, wrong, _ in _MISTAKES:
        replaced(demo / path, right, wrong)
    gradle_scripts.check(demo, demo / "scripts")


if __name__ == "__main__":
    main(check, {"mistakes": (mistakes, "(?s)" + "".join(f"(?=.*{said})" for *_, said in _MISTAKES))})
