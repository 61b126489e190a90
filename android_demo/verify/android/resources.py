"""Links the app's resources with aapt2 and writes what the compiler and Robolectric read.

resources.py --aapt2 FILE --framework JAR --app DIR --flavour NAME --out DIR
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

PACKAGE = "org.tfcompress.demo"
MIN_SDK, TARGET_SDK, COMPILE_SDK = 26, 36, 36
ANDROID = "http://schemas.android.com/apk/res/android"
TOOLS = "http://schemas.android.com/tools"


def derive_manifest(source: Path, target: Path) -> None:
    """Does what the Android Gradle plugin does: names package and levels, carries out and drops `tools:`."""
    ET.register_namespace("android", ANDROID)
    root = ET.fromstring(source.read_text("utf-8"))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get(f"{{{TOOLS}}}node") == "remove":
                parent.remove(child)
    for element in root.iter():
        for name in [n for n in element.attrib if n.startswith(f"{{{TOOLS}}}")]:
            del element.attrib[name]
    root.set("package", PACKAGE)
    levels = {f"{{{ANDROID}}}minSdkVersion": str(MIN_SDK), f"{{{ANDROID}}}targetSdkVersion": str(TARGET_SDK)}
    root.insert(0, ET.Element("uses-sdk", levels))
    application = root.find("application")
    if application is None:
        sys.exit(f"{source}: no <application>")
    application.set(f"{{{ANDROID}}}extractNativeLibs", "false")
    target.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def version(app: Path) -> list[str]:
    """Version code and name as arguments for aapt2, from the Gradle script."""
    script = (app / "build.gradle.kts").read_text("utf-8")
    found = [re.search(pattern, script) for pattern in (r"versionCode = (\d+)", r'versionName = "([^"]+)"')]
    if None in found:
        sys.exit("app/build.gradle.kts names no versionCode or versionName")
    return ["--version-code", found[0][1], "--version-name", found[1][1]]


def link(aapt2: Path, framework: Path, app: Path, flavour: str, out: Path, *more: str) -> Path:
    """Compiles and links; writes `R.java` under out/java, keep rules, and returns the resource package."""
    aapt2.chmod(0o755)
    shutil.rmtree(out, ignore_errors=True)
    (out / "java").mkdir(parents=True)
    manifest = out / "AndroidManifest.xml"
    derive_manifest(app / "src/main/AndroidManifest.xml", manifest)
    package = out / "resources.ap_"
    # Models stay uncompressed, or the app could not map them.
    stored = [x for suffix in (".tflite", ".enc", ".bin") for x in ("-0", suffix)]
    compiled = [out / f"{source}.zip" for source in ("main", flavour)]
    for archive in compiled:
        subprocess.run([aapt2, "compile", "--dir", app / f"src/{archive.stem}/res", "-o", archive], check=True)
    subprocess.run(
        [aapt2, "link", "-I", framework, "--manifest", manifest, "--java", out / "java"]
        + ["--proguard", out / "keep.txt", "-A", app / "src/main/assets", *stored]
        + ["--compile-sdk-version-code", str(COMPILE_SDK), "--compile-sdk-version-name", "16"]
        + [*version(app), *more, "-o", package, *compiled],
        check=True,
    )
    return package


def configure(app: Path, out: Path, package: Path) -> Path:
    """Writes what Robolectric reads; returns the folder that belongs in the class path."""
    folder = out / "test-config"
    config = folder / "com/android/tools"
    config.mkdir(parents=True)
    (config / "test_config.properties").write_text(
        f"android_merged_manifest={(out / 'AndroidManifest.xml').resolve()}\n"
        f"android_merged_assets={(app / 'src/main/assets').resolve()}\n"
        f"android_resource_apk={package.resolve()}\n"
        f"android_custom_package={PACKAGE}\n",
        "utf-8",
    )
    return folder


def main() -> None:
    """Links for the compiler and for Robolectric."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("aapt2", "framework", "app", "out"):
        parser.add_argument("--" + name, type=Path, required=True)
    parser.add_argument("--flavour", choices=("central", "litert"), required=True)
    a = parser.parse_args()
    configure(a.app, a.out, link(a.aapt2, a.framework, a.app, a.flavour, a.out))


if __name__ == "__main__":
    main()
