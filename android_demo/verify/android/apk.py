"""Builds a signed APK of flavour `central` without an Android SDK: aapt2, R8, an aligning zip writer, apksigner."""

from __future__ import annotations

import pathlib
import shutil
import struct
import zipfile

from android import resources
from android.built import CLASSES, CORE_CLASSES, RUNTIME, RUNTIME_CLASSES, aapt2, jar, jdk
from stagekit import DEMO, CannotRun, command, java

ABIS = ("arm64-v8a", "x86_64")
PAGE = 16_384
_KEY = ("-storetype", "PKCS12", "-storepass", "throwaway", "-alias", "demo", "-keyalg", "EC", "-groupname", "secp256r1")
_STORED = (".tflite", ".enc", ".bin", ".so", ".arsc")


def libraries() -> dict[str, pathlib.Path]:
    """The runtime's native libraries by their place in the APK."""
    name = "libtensorflowlite_jni.so"
    return {f"lib/{abi}/{name}": RUNTIME / f"tensorflow-lite/jni/{abi}/{name}" for abi in ABIS}


def dexed(out: pathlib.Path, keep: pathlib.Path) -> pathlib.Path:
    """Shrinks the compiled app with R8; returns the folder of dex files."""
    programs = []
    for name, folder in (("app", CLASSES), ("core", CORE_CLASSES), ("runtime", RUNTIME_CLASSES)):
        programs.append(out / f"{name}.jar")
        with zipfile.ZipFile(programs[-1], "w") as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file() and "META-INF" not in file.parts:
                    archive.write(file, str(file.relative_to(folder)))
    dex = out / "dex"
    dex.mkdir()
    arguments: list[object] = ["-cp", jar("r8"), "com.android.tools.r8.R8", "--release"]
    arguments += ["--min-api", resources.MIN_SDK, "--lib", jar("android-all"), "--lib", jdk(), "--output", dex]
    for rules in (keep, DEMO / "app/proguard-rules.pro", RUNTIME / "tensorflow-lite/proguard.txt"):
        arguments += ["--pg-conf", rules]
    java(*arguments, "--pg-map-output", out / "mapping.txt", *programs, jar("kotlin-stdlib"), jar("annotations"))
    return dex


def _entries(base: pathlib.Path, dex: pathlib.Path):
    """All files of the APK: name, content, whether it was stored in the linked package."""
    with zipfile.ZipFile(base) as linked:
        for info in linked.infolist():
            yield info.filename, linked.read(info), info.compress_type == zipfile.ZIP_STORED
    for file in sorted(dex.rglob("*")):
        if file.is_file():
            # R8 passes on the resources of its inputs: the public key of core.
            yield str(file.relative_to(dex)), file.read_bytes(), False
    for name, path in libraries().items():
        yield name, path.read_bytes(), True


def packed(base: pathlib.Path, dex: pathlib.Path, out: pathlib.Path, page: int = PAGE, deflate: str = "") -> None:
    """Writes the unsigned APK; stored files are aligned, libraries to `page`. Controls `deflate` files of an ending."""
    with zipfile.ZipFile(out, "w") as target:
        for name, content, stored in _entries(base, dex):
            stored = stored and not (deflate and name.endswith(deflate))
            info = zipfile.ZipInfo(name, (1981, 1, 1, 1, 1, 2))
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            if stored:
                align = page if name.endswith(".so") else 4
                padding = -(target.fp.tell() + 30 + len(name.encode()) + 6) % align
                info.extra = struct.pack("<HHH", 0xD935, 2 + padding, align) + b"\0" * padding
            target.writestr(info, content)


def signed(unsigned: pathlib.Path, out: pathlib.Path) -> None:
    """Signs with a key that is made now and thrown away: schemes 2 and 3."""
    key = out.with_suffix(".p12")
    try:
        command(["keytool", "-genkeypair", "-keystore", key, *_KEY, "-validity", 30, "-dname", "CN=throwaway"])
        command(
            ["apksigner", "sign", "--ks", key, "--ks-pass", "pass:throwaway", "--min-sdk-version", resources.MIN_SDK]
            + ["--v1-signing-enabled", "false", "--v2-signing-enabled", "true", "--v3-signing-enabled", "true"]
            + ["--out", out, unsigned]
        )
    finally:
        key.unlink(missing_ok=True)


def built(
    out: pathlib.Path, app: pathlib.Path = DEMO / "app", dex: pathlib.Path | None = None, **faults
) -> pathlib.Path:
    """The signed APK. `app` holds manifest, resources and assets; `dex` saves running R8 again."""
    for program in ("apksigner", "keytool"):
        if not shutil.which(program):
            raise CannotRun(f"{program} is not installed (Debian: apt-get install apksigner, openjdk-17-jdk-headless)")
    linker, framework = aapt2()
    levels = ("--min-sdk-version", str(resources.MIN_SDK), "--target-sdk-version", str(resources.TARGET_SDK))
    base = resources.link(linker, framework, app, "central", out / "res", *levels)
    dex = dex or dexed(out, out / "res/keep.txt")
    packed(base, dex, out / "unsigned.apk", **faults)
    signed(out / "unsigned.apk", out / "demo.apk")
    return out / "demo.apk"


def stored_suffixes() -> tuple[str, ...]:
    """Endings of the files that must lie uncompressed in an APK."""
    return _STORED
