"""A module in a process of its own."""

import sys

from tfcompress.system.own_process import command_of, run_module


def test_the_current_folder_hides_no_module(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit(7)", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = run_module("json.tool", "--help", 60)
    assert done.returncode == 0 and b"usage" in done.stdout


def test_the_module_gets_its_argument(tmp_path):
    (tmp_path / "given.json").write_text('{"b": 1}', encoding="utf-8")
    done = run_module("json.tool", str(tmp_path / "given.json"), 60)
    assert done.returncode == 0 and b'"b": 1' in done.stdout
    assert command_of("json.tool")[0] == sys.executable
