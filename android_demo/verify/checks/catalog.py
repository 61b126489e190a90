"""The Gradle version catalogue is whole, nothing in it is idle, and Maven verifies with the same versions."""

import pathlib
import re
import tomllib
import xml.etree.ElementTree as ElementTree

from stagekit import Failed

# Property of a pom under verify/ and the catalogue's version that it has to equal.
_SAME = {
    ("pom.xml", "kotlin.version"): "kotlin",
    ("pom.xml", "junit5.version"): "junit5",
    ("pom.xml", "robolectric.version"): "robolectric",
    ("pom.xml", "tflite.version"): "tflite",
    ("tools/pom.xml", "agp.version"): "agp",
    ("tools/pom.xml", "junit.console.version"): "junitPlatform",
}


def check(demo: pathlib.Path) -> int:
    """The number of entries; raises `Failed` with all faults."""
    catalog = tomllib.loads((demo / "gradle/libs.versions.toml").read_text("utf-8"))
    versions, entries = catalog["versions"], {**catalog["libraries"], **catalog["plugins"]}
    used = {entry["version"]["ref"] for entry in entries.values()}
    scripts = "\n".join(file.read_text("utf-8") for file in sorted(demo.glob("**/*.gradle.kts")))
    faults = [f"version {name} is not in [versions]" for name in used - versions.keys()]
    faults += [f"version {name} is not used" for name in versions.keys() - used]
    for section, prefix in (("libraries", "libs."), ("plugins", "libs.plugins.")):
        for name in catalog[section]:
            accessor = prefix + re.sub("[-_]", ".", name)
            if not re.search(rf"{re.escape(accessor)}\b(?!\.)", scripts):
                faults.append(f"{section}: {name} is used in no script")
    for (pom, name), version in _SAME.items():
        found = _property(demo / "verify" / pom, name)
        if found != versions.get(version):
            faults.append(f"verify/{pom}: {name} is {found}, the catalogue has {version} = {versions.get(version)}")
    if faults:
        raise Failed("\n".join(sorted(faults)))
    return len(entries)


def _property(pom: pathlib.Path, name: str) -> str | None:
    space = "{http://maven.apache.org/POM/4.0.0}"
    return ElementTree.parse(pom).getroot().findtext(f"{space}properties/{space}{name}")
