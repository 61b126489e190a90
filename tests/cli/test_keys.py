"""`tfcompress keys new` writes a pair once."""

import pathlib
import sys

import pytest

from tfcompress.android import secure
from tfcompress.android.key_files import load_key
from tfcompress.cli import main
from tfcompress.cli.entry import DONE, FAILED, USAGE


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    return main(["tfcompress", "keys", *arguments])


def test_a_pair_is_made_once(capsys):
    assert run("new", "--out=keys") == DONE
    assert "NOT encrypted" in capsys.readouterr().out
    key = load_key("keys/private_key.pem")
    assert secure.public_der(key) == pathlib.Path("keys/public_key.der").read_bytes()
    assert run("new", "--out=keys") == FAILED
    assert "not overwritten" in capsys.readouterr().err
    assert secure.public_der(load_key("keys/private_key.pem")) == secure.public_der(key)


def test_a_passphrase_encrypts_the_private_key(capsys):
    pathlib.Path("word.txt").write_text("open sesame\r\nsecond line\n")
    assert run("new", "--out=keys", "--passphrase_file=word.txt") == DONE
    assert "NOT" not in capsys.readouterr().out
    load_key("keys/private_key.pem", "open sesame")
    pathlib.Path("word.txt").write_text("")
    assert run("new", "--out=more", "--passphrase_file=word.txt") == FAILED
    assert not pathlib.Path("more").exists()


def test_wrong_usage(capsys):
    assert run("old", "--out=keys") == USAGE
    assert "tfcompress keys new" in capsys.readouterr().err
    assert run("new") == USAGE
    assert run("--out=keys") == USAGE


def test_without_cryptography_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert run("new", "--out=keys") == FAILED
    assert "pip install 'tfcompress[android]'" in capsys.readouterr().err
    assert not pathlib.Path("keys").exists()
