"""An operation plan knows its ranges, copies itself with others, and says whether it does anything."""

import dataclasses

import keras
import pytest

from tfcompress.fake_quant.op_plan import FieldKind, OpPlacement, OpPlan, kind_of_field


def test_ranges_come_in_the_order_that_saved_states_have():
    plan = OpPlacement(outputs={0: "behind", 1: "second"}, inside={"gate": "within"}, before="between")
    assert plan.ranges() == {
        ("before", None): "between",
        ("inside", "gate"): "within",
        ("outputs", 0): "behind",
        ("outputs", 1): "second",
    }
    assert list(plan.ranges().values()) == ["between", "within", "behind", "second"]


def test_mapped_changes_what_it_is_asked_for():
    plan = OpPlan("a", "op", 3, outputs={0: "r"}, sources=("s", (0.0, 1.0), None), target="t", norm="n", fixed=(0, 1))
    other = plan.mapped(scales=lambda x: x if isinstance(x, tuple) else x.upper())
    assert (other.sources, other.target, other.table) == (("S", (0.0, 1.0), None), "T", None)
    assert (other.outputs, other.norm, other.path, other.fixed) == ({0: "r"}, "n", "a", (0, 1))
    other = plan.mapped(ranges=str.upper, layers=str.upper)
    assert (other.outputs, other.norm, other.front, other.sources) == ({0: "R"}, "N", None, plan.sources)
    assert plan.outputs == {0: "r"}


def test_a_plan_takes_over_all_that_placement_found():
    found = OpPlacement(**{f.name: object() for f in dataclasses.fields(OpPlacement)})
    plan = OpPlan.of("a", None, 0, found)
    assert all(getattr(plan, f.name) is getattr(found, f.name) for f in dataclasses.fields(OpPlacement))


@pytest.mark.parametrize("field", [f for f in dataclasses.fields(OpPlan)], ids=lambda f: f.name)
def test_what_is_only_known_does_nothing(field):
    value = {"key": 1} if field.name in ("chains", "inside", "outputs", "features") else (0.0, 1.0)
    plan = dataclasses.replace(OpPlan("a", keras.layers.ReLU()), **{field.name: value})
    inert = (FieldKind.FACT, FieldKind.SCALE, FieldKind.SCALES, FieldKind.LIVE)
    assert plan.does_something() is (kind_of_field(field) not in inert)
    assert not OpPlan("a", keras.layers.ReLU()).does_something()


def test_the_first_source_is_the_source():
    assert OpPlacement(sources=("a", "b")).source == "a" and OpPlacement().source is None
