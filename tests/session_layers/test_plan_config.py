"""Every field of an operation plan is saved and comes back; sessions that release 0.1 saved load."""

import dataclasses
import json
import pathlib

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.op_plan import FieldKind, OpPlan, WeightChain, kind_of_field, plan_field
from tfcompress.fake_quant.transforms.mask import Mask
from tfcompress.fake_quant.transforms.ranges import ActivationRange
from tfcompress.session_layers.plan_config import RangeNumber, from_config, resolve_references, to_config
from tfcompress.session_layers.wrapping import is_wrapped, unwrap_layers

SAVED = pathlib.Path(__file__).parent / "saved"
RECIPE = [tfc.Prune(0.5), tfc.Quantize("int8", overrides={"thin": None})]


@dataclasses.dataclass
class Longer(OpPlan):
    """A plan with a further field of every kind."""

    factor: float = 1.0
    limits: tuple | None = None
    noticed: str = plan_field(FieldKind.FACT, default="")
    middle: object = plan_field(FieldKind.RANGE, default=None)
    gates: dict = plan_field(FieldKind.RANGE, default_factory=dict)
    origin: object = plan_field(FieldKind.SCALE, default=None)
    origins: tuple = plan_field(FieldKind.SCALES, default=())
    partner: object = plan_field(FieldKind.LAYER, default=None)
    cache: object = plan_field(FieldKind.LIVE, default=None)


def test_only_what_belongs_to_the_live_model_is_not_saved():
    layer = keras.layers.Dense(2)
    saved = to_config(OpPlan("a/b", layer), {})
    left = {f.name for f in dataclasses.fields(OpPlan)} - set(saved)
    assert left == {"op", "index", "features"}


def test_a_new_field_is_saved_without_a_line_elsewhere():
    layer, other = keras.layers.Dense(2, name="it"), keras.layers.Dense(2, name="other")
    here, gate, elsewhere = ActivationRange(4), ActivationRange(), ActivationRange(16, symmetric=True)
    chain = WeightChain("kernel", None, [Mask(axes="io")])
    plan = Longer(
        "a/it",
        layer,
        7,
        chains={"kernel": chain},
        factor=2.5,
        limits=(0.0, 1.0),
        noticed="yes",
        middle=here,
        gates={"in": gate, "out": here},
        origin=elsewhere,
        origins=((0.0, 6.0), None, here),
        partner=other,
        cache=object(),
    )
    numbers = {id(span): k for k, span in enumerate((here, gate, elsewhere))}
    text = json.dumps(to_config(plan, numbers))
    found, again = from_config(json.loads(text), layer, Longer)
    assert (found.path, found.op, found.factor, found.limits, found.noticed) == ("a/it", layer, 2.5, (0.0, 1.0), "yes")
    assert found.middle.bits == 4 and list(found.gates) == ["in", "out"] and found.cache is None
    assert [again[id(span)] for span in (found.middle, *found.gates.values())] == [0, 1, 0]
    assert found.origin == RangeNumber(2, 16) and found.origins == ((0.0, 6.0), None, RangeNumber(0, 4))
    assert [type(t) for t in found.chains["kernel"].transforms] == [Mask]
    assert json.dumps(to_config(found, again)) == text
    whole = resolve_references(found, {0: here, 2: elsewhere}, {"other": other})
    assert (whole.origin, whole.origins, whole.partner) == (elsewhere, ((0.0, 6.0), None, here), other)


def test_a_file_without_a_field_has_its_default():
    found, _ = from_config({"path": "it"}, keras.layers.Dense(2))
    assert all(
        getattr(found, f.name) == f.default
        for f in dataclasses.fields(found)
        if f.default is not dataclasses.MISSING and kind_of_field(f) is not FieldKind.LIVE
    )


def test_a_field_of_a_later_version_is_refused():
    with pytest.raises(ValueError, match="'it' .* later version .* unknown fields twist. Update tfcompress"):
        from_config({"path": "it", "twist": 1}, keras.layers.Dense(2, name="it"))


@pytest.mark.needs_keras("3.15")  # which wrote the file
def test_a_session_that_release_0_1_saved_goes_on():
    """Trained for two epochs and saved there, with what its session then said of eight samples."""
    said = np.load(SAVED / "release_0_1.npz")
    loaded = tfc.load_model(SAVED / "release_0_1.keras")
    _, state = unwrap_layers(loaded)
    plans = {t.path: t for t in state.op_plans}
    assert plans["conv"].norm.name == "norm" and plans["norm"].folds and plans["half"].affine
    assert plans["side"].before is not None and plans["head"].fixed == (0.0, 0.99609375)
    assert plans["pool"].outputs[0] is plans["both"].outputs[0] is plans["pool"].source
    assert plans["sum"].source is plans["relu"].outputs[0] and not plans["thin"].outputs
    masks = {t.path: np.asarray(mask.mask) for t, _, mask in state.find(Mask)}
    assert {path: float(mask.mean()) for path, mask in masks.items()} == dict.fromkeys(masks, 0.5) and len(masks) == 4
    session = tfc.compress(loaded, RECIPE, verbose=0)
    assert session.callback.clock.step == 4
    # the simulation rounds as XNNPACK does since then: a code of the output more or less
    np.testing.assert_allclose(session.predict(said["x"]), said["simulated"], atol=2 / 256)
    assert not is_wrapped(session.finish())
