"""Rows of the layer table: what a row may say, and what is refused."""

import re

import keras
import pytest

import tfcompress as tfc
from tfcompress.channels import rules_composite  # noqa: F401 (registers its rules)
from tfcompress.channels.rules import rule_of
from tfcompress.layer_table.axes import LETTERS
from tfcompress.layer_table.spec import FLOWS


def test_every_flow_has_a_rule():
    for flow in FLOWS:
        assert callable(rule_of(flow))


def test_a_flow_that_no_rule_has_is_refused_by_describe():
    class Mixed(keras.layers.Layer):
        pass

    with pytest.raises(ValueError, match="LayerSpec: flow must be one of .*'mix'.* Received: flow='mixx'"):
        tfc.describe(Mixed, flow="mixx", kernel="io")
    assert not tfc.spec_of(Mixed()).is_known


def test_the_help_of_a_row_explains_every_letter_and_every_flow():
    text = tfc.LayerSpec.__doc__
    assert [letter for letter in LETTERS if f'"{letter}"' not in text] == []
    assert [flow for flow in FLOWS if f'"{flow}"' not in text] == []


def test_a_letter_that_has_no_meaning_is_refused_with_a_way_to_the_list():
    class Lettered(keras.layers.Layer):
        pass

    with pytest.raises(ValueError, match=re.escape("Received: 'oq'. help(tfc.LayerSpec) says what each letter means")):
        tfc.describe(Lettered, flow="mix", kernel="oq")
