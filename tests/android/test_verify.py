"""What the Android demo's verification rests on: when classes count as compiled, what tests are heard to say."""

import importlib
import pathlib
import sys

import pytest

VERIFY = pathlib.Path(__file__).parents[2] / "android_demo/verify"
MODULES = ("stagekit", "compiling", "checks", "checks.surefire")
REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="org.example.ParityTest" tests="3" skipped="1" failures="1">
  <properties><property name="robolectric.offline" value="true"/><property name="empty" value=""/></properties>
  <testcase name="answers" classname="org.example.ParityTest" time="0.1">
    <system-out><![CDATA[PARITY float32: 200 outputs within 0.0
]]></system-out>
    <system-err><![CDATA[PARITY other: 1 outputs within 9
]]></system-err>
  </testcase>
  <testcase name="left out" classname="org.example.ParityTest" time="0.0"><skipped/></testcase>
  <testcase name="goes wrong" classname="org.example.ParityTest" time="0.1">
    <failure message="expected: 1
but was: 2">a long trace</failure>
  </testcase>
</testsuite>
"""


@pytest.fixture
def verify(monkeypatch):
    """Imports a module of the verification, and takes all of them away afterwards."""
    monkeypatch.syspath_prepend(str(VERIFY))
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def classes(verify, monkeypatch, tmp_path):
    """Compiled classes of a module `top` that builds on a module `base`, as a compiler leaves them."""
    compiling = verify("compiling")
    monkeypatch.setattr(compiling, "DEMO", tmp_path)
    monkeypatch.setattr(compiling, "VERIFY", tmp_path / "verify")
    base = compiling.Classes("base", "classes", ("base/src",), ("base.compile.phase",))
    top = compiling.Classes("top", "test-classes", ("top/src",), ("top.test.compile.phase",), (base,))
    for part in (base, top):
        source = tmp_path / part.module / "src/deep/A.kt"
        source.parent.mkdir(parents=True)
        source.write_text("class A")
        part.folder.mkdir(parents=True)
        (part.folder / "A.class").write_bytes(b"compiled")
    (tmp_path / "verify/pom.xml").write_text("<project/>")
    return base, top


def test_classes_fit_once_they_are_noted(classes):
    base, top = classes
    assert not base.fit() and not top.fit()
    base.note()
    top.note()
    assert base.fit() and top.fit()


@pytest.mark.parametrize("path", ["top/src/deep/A.kt", "base/src/deep/A.kt", "verify/pom.xml"])
def test_a_changed_source_is_seen_below_too(classes, tmp_path, path):
    _, top = classes
    top.note()
    (tmp_path / path).write_text("something else")
    assert not top.fit()


def test_new_and_removed_files_are_seen(classes, tmp_path):
    _, top = classes
    top.note()
    new = tmp_path / "top/src/B.kt"
    new.write_text("class B")
    assert not top.fit()
    new.unlink()
    assert top.fit()
    (top.folder / "A.class").unlink()
    assert not top.fit()


def test_changed_classes_are_seen_and_copied_resources_are_not(classes):
    _, top = classes
    top.note()
    (top.folder / "test_config.properties").write_text("from another folder")
    assert top.fit()
    (top.folder / "A.class").write_bytes(b"of another compiler")
    assert not top.fit()


def test_swept_classes_do_not_fit(classes):
    base, _ = classes
    base.note()
    base.sweep()
    assert not base.folder.exists() and not base.fit()


def test_build_compiles_only_what_does_not_fit(classes, verify, monkeypatch):
    base, top = classes
    base.note()
    asked = []

    def maven(*arguments):
        asked.append(arguments)
        top.folder.mkdir(exist_ok=True)

    compiling = verify("compiling")
    monkeypatch.setattr(compiling, "maven", maven)
    compiling.build("test", uses=(base, top))
    compiling.build("test", uses=(base, top))
    assert asked == [
        ("-Dbase.compile.phase=none", "test"),
        ("-Dbase.compile.phase=none", "-Dtop.test.compile.phase=none", "test"),
    ]


def test_classes_of_a_failed_build_are_not_noted(classes, verify, monkeypatch):
    base, _ = classes
    compiling, stagekit = verify("compiling"), verify("stagekit")

    def maven(*arguments):
        base.folder.mkdir(exist_ok=True)
        raise stagekit.Failed("the compiler said no")

    monkeypatch.setattr(compiling, "maven", maven)
    with pytest.raises(stagekit.Failed, match="said no"):
        compiling.build("test", uses=(base,))
    assert not base.fit()


def test_what_tests_printed_comes_from_their_reports(verify, tmp_path):
    """Maven's output is mixed with that of native libraries, which once made a figure `0.0INFO:`."""
    surefire = verify("checks.surefire")
    (tmp_path / "TEST-org.example.ParityTest.xml").write_text(REPORT)
    (tmp_path / "org.example.ParityTest.txt").write_text("PARITY text: 1 outputs within 0")
    assert surefire.printed(tmp_path).split("\n") == ["PARITY float32: 200 outputs within 0.0", ""]
    assert surefire.count(tmp_path) == 3
    assert surefire.count(tmp_path, "skipped") == 1
    assert surefire.properties(tmp_path) == {"robolectric.offline": "true", "empty": ""}
    assert surefire.properties(tmp_path / "never-ran") == {}
    assert surefire.failures(tmp_path) == "org.example.ParityTest: goes wrong: expected: 1 but was: 2"
