"""Arguments of Keras 2 are renamed, left out where they say nothing, and refused where they would be lost."""

import keras
import pytest

from tfcompress.legacy.network.arguments import ROWS, known, renamed
from tfcompress.legacy.refused import NotPorted

pytestmark = pytest.mark.legacy


def test_renamed_keys_and_classes():
    assert renamed("a", "LeakyReLU", {"alpha": 0.1}) == ("LeakyReLU", {"negative_slope": 0.1})
    assert renamed("a", "ThresholdedReLU", {"theta": 2.0}) == ("ReLU", {"threshold": 2.0})
    assert renamed("a", "BatchNormalization", {"axis": [3]}) == ("BatchNormalization", {"axis": 3})
    assert renamed("a", "Dense", {"units": 3}) == ("Dense", {"units": 3})


def test_values_of_keys_that_are_younger_than_the_file():
    assert renamed("a", "GRU", {})[1]["reset_after"] is False
    assert renamed("a", "GRU", {"reset_after": True})[1]["reset_after"] is True


@pytest.mark.parametrize(
    ("layer", "key", "harmless", "lost"),
    [
        ("DepthwiseConv2D", "groups", 1, 2),
        ("Conv2DTranspose", "groups", 1, 4),
        ("LSTM", "time_major", False, True),
        ("Attention", "causal", False, True),
        ("Dense", "dynamic", False, True),
        ("Dense", "unheard_of", None, 0),
    ],
)
def test_unknown_keys_are_left_out_only_where_they_say_nothing(layer, key, harmless, lost):
    made = getattr(keras.layers, layer)
    assert known("a", layer, made, {key: harmless, "name": "a"}) == {"name": "a"}
    with pytest.raises(NotPorted, match=rf"'a' \({layer}\).*{key}={lost!r}"):
        known("a", layer, made, {key: lost})


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.refused])
def test_classes_without_a_port_are_refused_with_a_way_out(name):
    with pytest.raises(NotPorted, match=rf"layer 'a' \({name}\) can't be ported: \w.*\. \w") as caught:
        renamed("a", name, {})
    assert caught.value.layer == "a"


def test_every_other_row_leads_to_a_layer_and_keys_it_has():
    for name, row in ROWS.items():
        made = getattr(keras.layers, row.now or name, None)
        if row.refused:
            continue
        assert issubclass(made, keras.layers.Layer)
        changed = {key: None for key in (*row.renamed.values(), *row.absent)}
        assert set(known("a", name, made, dict.fromkeys(changed, 1))) == set(changed)


def test_two_axes_of_batch_normalization_are_refused():
    with pytest.raises(NotPorted, match=r"axis=\[1, 2\]"):
        renamed("a", "BatchNormalization", {"axis": [1, 2]})
