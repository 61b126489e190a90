"""Stage core: unit tests of the app's logic with coverage, shared vectors, faults in bulk, Android 8's API."""

import csv
import shutil

from checks import junit, kotlinc, surefire
from compiling import CORE, CORE_TESTS, build
from stagekit import DEMO, VERIFY, Failed, main, maven, replaced, work

_CORE = VERIFY / "core" / "target"
_FAULTS = "org.tfcompress.demo.core.security.FaultTest"
_TESTS = DEMO / "core/src/test/kotlin"
_SOURCES = DEMO / "core/src/main/kotlin/org/tfcompress/demo/core"


def check() -> str:
    """Compiles core as Android gets it and runs its tests under Maven."""
    surefire.clear("core")
    for classes in (CORE, CORE_TESTS):
        classes.sweep()
    build("-pl", "core", "test", uses=(CORE, CORE_TESTS))
    reports = surefire.folder("core")
    tests, skipped = surefire.count(reports), surefire.count(reports, "skipped")
    if not tests or skipped:
        raise Failed(f"{tests} tests ran, {skipped} were skipped")
    classes = {file.stem for file in _TESTS.rglob("*Test.kt")}
    missing = classes - {suite.get("name", "").rpartition(".")[2] for suite in surefire.suites(reports)}
    if missing:
        raise Failed(f"did not run: {', '.join(sorted(missing))}")
    with (_CORE / "site/jacoco/jacoco.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    covered, missed = (sum(int(row[f"LINE_{kind}"]) for row in rows) for kind in ("COVERED", "MISSED"))
    return (
        f"{tests} tests (vectors shared with Python; every byte of a 2 kB manifest flipped, 1,000 damages of each "
        f"bundled model and of a ciphertext: none accepted); {covered / (covered + missed):.1%} of {covered + missed} "
        "lines covered; API 26 linkage"
    )


def _mutant(name: str, old: str, new: str, *tests: str) -> None:
    """Compiles one source with a fault in it and runs tests with that class in front of the right one."""
    folder = work("core-control")
    source = folder / name.rpartition("/")[2]
    shutil.copy(_SOURCES / name, source)
    replaced(source, old, new)
    classes = [_CORE / "classes", kotlinc.stdlib()]
    kotlinc.compile_to(folder / "classes", [source], classes, module="core")
    path = [folder / "classes", _CORE / "test-classes", *classes]
    junit.run(path, tests, {"demo.dir": DEMO})


def rounding() -> None:
    """Halves go up, as Kotlin's own rounding takes them."""
    test = "org.tfcompress.demo.core.tensor.QuantizationTest"
    _mutant("tensor/Quantization.kt", "Math.rint((value * inverse).toDouble())", "Math.round(value * inverse)", test)


def unsigned_manifest() -> None:
    """A manifest is read whatever its signature says."""
    test = f"{_FAULTS}#no single-byte flip in a 2 kB manifest is accepted"
    _mutant("security/ManifestState.kt", "if (!key.signed(manifest, signature))", "if (signature.isEmpty())", test)


def unchecked_hash() -> None:
    """A model of the right size is taken for the right one."""
    test = f"{_FAULTS}#no damaged bundled model is accepted"
    _mutant("security/ModelGate.kt", "if (hash == expected.sha256)", "if (hash != expected.sha256 || true)", test)


def coverage() -> None:
    """A threshold that no test suite reaches."""
    maven("-pl", "core", "jacoco:check@check", "-Dcoverage.minimum=1.0")


def newer_api() -> None:
    """A call that the JDK has and Android 8 lacks."""
    folder = work("core-control")
    source = folder / "Planted.kt"
    source.write_text(
        "package planted\n\nfun planted() = java.lang.management.ManagementFactory.getRuntimeMXBean().uptime\n"
    )
    kotlinc.compile_to(folder / "classes", [source], [kotlinc.stdlib()])
    maven("-pl", "core", "animal-sniffer:check@api-26", f"-Dsniffed.classes={folder / 'classes'}")


if __name__ == "__main__":
    main(
        check,
        {
            "rounding": (rounding, "quantize rounds halves to even"),
            "unsigned-manifest": (unsigned_manifest, "no single-byte flip in a 2 kB manifest"),
            "unchecked-hash": (unchecked_hash, "no damaged bundled model"),
            "coverage": (coverage, "Coverage checks have not been met"),
            "newer-api": (newer_api, "Undefined reference.*ManagementFactory"),
        },
    )
