"""Where the app's parts lie once Maven has compiled them, and the tools that the Android stages share."""

from __future__ import annotations

import pathlib
import shutil

from stagekit import VERIFY, compiled_core, maven

APP_MODULES = "core,tflite-central,litert-signatures,androidx-test-shim,app,app-litert"
CLASSES = VERIFY / "app/target/classes"
CORE_CLASSES = VERIFY / "core/target/classes"
RUNTIME = VERIFY / "tflite-central/target"
RUNTIME_CLASSES = RUNTIME / "classes"
RESOURCES = VERIFY / "app/target/res"


def compiled(*arguments: str) -> None:
    """Compiles the app in both flavours, API-level check of animal-sniffer included."""
    swept("app", "app-litert")
    maven(*compiled_core(), "-pl", APP_MODULES, "process-classes", *arguments)


def swept(*modules: str) -> None:
    """Takes old class files away: Maven leaves those of sources that are gone."""
    for module in modules:
        for folder in ("classes", "test-classes"):
            shutil.rmtree(VERIFY / module / "target" / folder, ignore_errors=True)


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
    folder = VERIFY / "app/target/tools/prebuilt"
    if not folder.exists():
        compiled()
    return folder / "linux/aapt2_64", folder / "android-framework.jar"


def jdk() -> pathlib.Path:
    """The JDK whose `java` is used: its classes are what Android's core library is made after."""
    found = shutil.which("java")
    return pathlib.Path(found or "java").resolve().parents[1]
