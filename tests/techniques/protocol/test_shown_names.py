"""`help` of a technique shows its settings and what users call; the hooks stand on the base classes."""

import dataclasses
import pydoc

import pytest

import tfcompress as tfc

NAMES = ["Cluster", "Distill", "DropLayers", "Equalize", "Fold", "LowRank", "MergeChannels"]
NAMES += ["Prune", "PruneChannels", "Quantize"]


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_what_a_user_needs(name):
    kind = getattr(tfc, name)
    text = pydoc.plaintext.document(kind)
    assert "Example:" in text and "Args:" in text
    shown = set(dir(kind))
    assert {field.name for field in dataclasses.fields(kind) if hasattr(kind, field.name)} <= shown
    hooks = {"advance", "transforms", "accept", "stored", "setting", "operate", "close", "extras", "penalty", "loss"}
    assert not hooks & shown
    assert not any(f" {hook}(" in text for hook in hooks)
    assert ("apply" in shown) == issubclass(kind, tfc.GraphTechnique)


@pytest.mark.parametrize("name", ["Technique", "GraphTechnique"])
def test_base_classes_show_their_hooks(name):
    assert {"advance", "transforms", "operate"} <= set(dir(getattr(tfc, name)))
    assert all(f" {hook}(" in pydoc.plaintext.document(getattr(tfc, name)) for hook in ("advance", "operate"))


def test_hidden_hooks_are_there():
    assert callable(tfc.Prune(0.5).advance) and tfc.Prune(0.5).advance.__doc__
