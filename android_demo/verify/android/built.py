"""Where the app's parts lie once Maven has compiled them, and the tools that the Android stages share."""

from __future__ import annotations

import pathlib
import shutil

from compiling import APP, CORE, build
from stagekit import VERIFY, maven

CLASSES = APP.folder
CORE_CLASSES = CORE.folder
RUNTIME = VERIFY / "tflite-central/target"
RUNTIME_CLASSES = RUNTIME / "classes"
_CENTRAL = "core,tflite-central,androidx-test-shim,app"


def compile_both() -> None:
    """Compiles the app in both flavours in any case, animal-sniffer's check of the API level included."""
    APP.sweep()
    shutil.rmtree(VERIFY / "app-litert/target/classes", ignore_errors=True)
    build("-pl", f"{_CENTRAL},litert-signatures,app-litert", "process-classes", uses=(CORE, APP))


def compiled() -> None:
    """Compiles flavour `central` where its classes are not those of its sources."""
    if not APP.fit() or not RUNTIME_CLASSES.exists():
        build("-pl", _CENTRAL, "process-classes", uses=(CORE, APP))


def tool(*parts: str) -> pathlib.Path:
    """A file or folder that the Maven module `android-tools` fetches; fetched now if it is not there."""
    path = VERIFY.joinpath("android-tools", "target", *parts)
    if not path.exists():
        maven("-pl", "android-tools", "generate-sources")
    return path


def jar(name: str) -> pathlib.Path:
    """One of the jars r8, android-all, android-all-26, kotlin-stdlib, annotations."""
    return tool("android", f"{name}.jar")


def aapt2() -> tuple[pathlib.Path, pathlib.Path]:
    """The resource compiler and the framework's resources, as module `app` unpacks them."""
    compiled()
    folder = VERIFY / "app/target/tools/prebuilt"
    return folder / "linux/aapt2_64", folder / "android-framework.jar"


def jdk() -> pathlib.Path:
    """The JDK whose `java` is used: its classes are what Android's core library is made after."""
    found = shutil.which("java")
    return pathlib.Path(found or "java").resolve().parents[1]
