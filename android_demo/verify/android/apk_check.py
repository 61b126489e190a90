"""What must hold for an APK: signature, sizes, alignment, what is stored, permissions, native methods."""

from __future__ import annotations

import pathlib
import re
import struct
import zipfile

from android import resources
from android.apk import ABIS, PAGE, libraries, stored_suffixes
from android.built import aapt2
from stagekit import Failed, command

LARGEST_APK = 10_000_000
LARGEST_DEX = 210_000
_FORBIDDEN = ("invoke-custom", "invoke-polymorphic", "LambdaMetafactory", "StringConcatFactory")


def entries(apk: pathlib.Path) -> int:
    """Models, libraries and resources are stored and aligned; returns the number of models."""
    models = 0
    with zipfile.ZipFile(apk) as archive:
        for info in archive.infolist():
            archive.fp.seek(info.header_offset + 26)
            name, extra = struct.unpack("<HH", archive.fp.read(4))
            start = info.header_offset + 30 + name + extra
            if info.filename.endswith(stored_suffixes()):
                if info.compress_type != zipfile.ZIP_STORED:
                    raise Failed(f"{info.filename} is compressed")
                if start % (PAGE if info.filename.endswith(".so") else 4):
                    raise Failed(f"{info.filename} is not aligned: it begins at {start}")
            models += info.filename.endswith((".tflite", ".enc"))
        for wanted in ("org/tfcompress/demo/core/public_key.der", "assets/models/manifest.sig"):
            if wanted not in archive.namelist():
                raise Failed(f"{wanted} is not in the APK")
    return models


def dex_bytes(apk: pathlib.Path, folder: pathlib.Path) -> int:
    """Nothing that Android's runtime lacks, and every native method has its symbol in each library."""
    natives: set[str] = set()
    size = 0
    with zipfile.ZipFile(apk) as archive:
        for name in [n for n in archive.namelist() if n.endswith(".dex")]:
            file = pathlib.Path(archive.extract(name, folder))
            size += file.stat().st_size
            natives |= _natives(command(["dexdump", "-d", file]))
    for name, path in libraries().items():
        symbols = set(re.findall(r"\b(Java_\w+)", command(["readelf", "-W", "--dyn-syms", path])))
        lacking = [n for n in sorted(natives) if n not in symbols and not any(s.startswith(n + "__") for s in symbols)]
        if lacking or not natives:
            raise Failed(f"{name} lacks {lacking or 'everything'}")
    return size


def _natives(dump: str) -> set[str]:
    for bad in _FORBIDDEN:
        if bad in dump:
            raise Failed(f"{bad} in the dex")
    found, owner, name = set(), "", ""
    for line in dump.splitlines():
        if match := re.search(r"in L([\w/$]+);", line):
            owner = match[1]
        elif match := re.match(r"\s+name\s+: '(.*)'", line):
            name = match[1]
        elif re.match(r"\s+access\s+: .*\bNATIVE\b", line):
            found.add(
                "Java_" + "_".join(p.replace("_", "_1").replace("/", "_").replace("$", "_00024") for p in (owner, name))
            )
    return found


def elf_alignment() -> str:
    """LOAD alignment of each library: 4 KB is not for devices with 16 KB pages, whatever the zip says."""
    found = set()
    for path in libraries().values():
        found |= set(re.findall(r"LOAD.*\s(0x[0-9a-f]+)$", command(["readelf", "-lW", path]), re.M))
    return ", ".join(sorted(found))


def described(apk: pathlib.Path) -> None:
    """No permission, the right levels, both languages, one way in."""
    text = command([aapt2()[0], "dump", "badging", apk])
    if "uses-permission" in text:
        raise Failed("the APK asks for a permission: " + ", ".join(re.findall(r"uses-permission.*", text)))
    native = "native-code: " + " ".join(f"'{abi}'" for abi in ABIS)
    levels = (f"dkVersion:'{resources.MIN_SDK}'", f"targetSdkVersion:'{resources.TARGET_SDK}'")
    for wanted in (
        f"package: name='{resources.PACKAGE}'",
        *levels,
        "application-label-zh",
        "launchable-activity",
        native,
    ):
        if wanted not in text:
            raise Failed(f"the APK does not say {wanted}\n{text}")


def signature(apk: pathlib.Path) -> None:
    """Schemes 2 and 3 verify."""
    text = command(["apksigner", "verify", "--verbose", "--min-sdk-version", resources.MIN_SDK, apk])
    for scheme in ("v2 scheme (APK Signature Scheme v2): true", "v3 scheme (APK Signature Scheme v3): true"):
        if scheme not in text:
            raise Failed(f"not verified: {scheme}\n{text}")


def checked(apk: pathlib.Path, folder: pathlib.Path) -> str:
    """All of it; returns the figures."""
    signature(apk)
    described(apk)
    models = entries(apk)
    dex = dex_bytes(apk, folder)
    size = apk.stat().st_size
    if size > LARGEST_APK or dex > LARGEST_DEX:
        raise Failed(f"APK {size} bytes (at most {LARGEST_APK}), dex {dex} bytes (at most {LARGEST_DEX})")
    command(["zipalign", "-c", "4", apk])
    return (
        f"signed APK (v2, v3) of {size:,} bytes with {' and '.join(ABIS)}, dex {dex:,} bytes after R8; {models} models "
        f"stored, libraries on 16 KB in the zip (their ELF alignment is {elf_alignment()}); no permission"
    )
