"""Class folders of the Maven modules: compiled where they are not those of their sources, taken as they are elsewhere.

Most stages need the same classes. The stage whose check is the compiler's work compiles anew; the others look whether
a note left with the classes fits, which holds a digest of all sources and of the classes themselves.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import shutil
from collections.abc import Sequence

from stagekit import DEMO, VERIFY, maven

_SHARED = ("verify/pom.xml",)


@dataclasses.dataclass(frozen=True)
class Classes:
    """A folder of classes that Maven compiles.

    Attributes:
        module: The Maven module.
        kind: `classes` or `test-classes`.
        sources: What they are made of: files and folders below the demo's.
        phases: Properties with the phases of the module's compilers for these classes.
        below: Classes that these are compiled against.
    """

    module: str
    kind: str
    sources: tuple[str, ...]
    phases: tuple[str, ...]
    below: tuple[Classes, ...] = ()

    @property
    def folder(self) -> pathlib.Path:
        """Where they lie."""
        return VERIFY / self.module / "target" / self.kind

    @property
    def off(self) -> tuple[str, ...]:
        """Options with which Maven does not compile them."""
        return tuple(f"-D{phase}=none" for phase in self.phases)

    @property
    def _note(self) -> pathlib.Path:
        return self.folder.with_name(f"{self.kind}.digest")

    def fit(self) -> bool:
        """Whether these are the classes of the sources."""
        return self._note.exists() and self._note.read_text("utf-8") == self._state()

    def sweep(self) -> None:
        """Takes them away: the compiler leaves the classes of removed sources."""
        self._note.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def note(self) -> None:
        """Notes that these are the classes of the sources."""
        self._note.write_text(self._state(), "utf-8")

    def _state(self) -> str:
        digest = hashlib.sha256("".join(part._state() for part in self.below).encode())
        roots = [DEMO / source for source in (*_SHARED, *self.sources)]
        files = {file for root in roots for file in (root, *root.rglob("*")) if file.is_file()}
        # What Maven copies beside the classes comes anew with each build.
        files |= set(self.folder.rglob("*.class"))
        for file in sorted(files):
            digest.update(f"{file.relative_to(DEMO)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        return digest.hexdigest()


def _main(module: str, *sources: str, phases: tuple[str, ...] = (), below: tuple[Classes, ...] = ()) -> Classes:
    sources = (*sources, f"verify/{module}/pom.xml")
    return Classes(module, "classes", sources, (f"{module}.compile.phase", *phases), below)


def _tests(module: str, *sources: str, below: tuple[Classes, ...]) -> Classes:
    sources = (*sources, f"verify/{module}/pom.xml")
    return Classes(module, "test-classes", sources, (f"{module}.test.compile.phase",), below)


# R.java is made of the resources.
_RESOURCES = ("app/src/main/AndroidManifest.xml", "app/src/main/res", "verify/android/resources.py")

CORE = _main("core", "core/src/main")
CORE_TESTS = _tests("core", "core/src/test/kotlin", below=(CORE,))
HOST = _main("host-engine", "verify/host-engine/src/main", below=(CORE,))
HOST_TESTS = _tests("host-engine", "verify/host-engine/src/test", below=(HOST,))
APP = _main(
    "app",
    *("app/src/main/kotlin", "app/src/central", *_RESOURCES, "verify/tflite-central/pom.xml"),
    phases=("app.javac.phase",),
    below=(CORE,),
)
APP_TESTS = _tests("app", "app/src/test/kotlin", "verify/androidx-test-shim/src", below=(APP,))
REAL_TESTS = _tests("app-real", "verify/app-real/src/test", below=(APP, HOST))


def build(*arguments: str, uses: Sequence[Classes]) -> None:
    """Runs Maven; of the classes that it would compile, `uses`, those that fit their sources are not compiled."""
    old = [classes for classes in uses if not classes.fit()]
    for classes in old:
        classes.sweep()
    maven(*(option for classes in uses if classes not in old for option in classes.off), *arguments)
    for classes in old:
        classes.note()
