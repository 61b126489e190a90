"""Chained files: the codes of the unsplit file, stored and loaded whole; early exits evaluated from the files."""

import json
import os
import threading

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.graph.keras_private import input_triples
from tfcompress.pipeline.chain_conversion import PartToConvert, convert_links
from tfcompress.pipeline.chained import INDEX, ChainedArtifact, ChainedPart
from tfcompress.tflite.artifact import Artifact

pytestmark = pytest.mark.sampled(3)

L = keras.layers


def arrays_by_name(model, x):
    names = [name for name, _, _ in input_triples(model)]
    return dict(zip(names, x, strict=True)) if isinstance(x, list) else x


def by_name(found, artifact):
    return found if isinstance(found, dict) else {artifact.outputs[0].name: found}


@pytest.fixture(scope="module")
def residual(graph_models):
    keras.utils.set_random_seed(0)
    model = graph_models.shaken(graph_models.residual())
    x = graph_models.batch(model, 64)
    return model, x, tfc.split(model, "recursive", parts=3).convert(x)


@pytest.fixture(scope="module")
def tree():
    """Two exits on a small classifier that has learned nothing: confidences differ all the same."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 1), name="image")
    for k in range(3):
        x = L.Conv2D(6, 3, padding="same", activation="relu", name=f"conv{k}")(x)
    model = keras.Model(inputs, L.Dense(3, activation="softmax", name="end")(L.GlobalAveragePooling2D()(x)))
    parts = tfc.split(model, "hierarchical", at=["conv0", "conv1"], seed=3, head="flatten")
    data = np.random.default_rng(0).normal(size=(48, 8, 8, 1)).astype("float32")
    confidences = [np.asarray(y).max(axis=1) for y in parts.exits(data)]
    parts.threshold = [float(np.median(c)) for c in confidences]
    return parts, data, parts.convert(data)


def largest_steps(model, chain, x, y):
    whole = tfc.convert(model, calibration=x)
    a, b = by_name(whole.predict(arrays_by_name(model, y)), whole), by_name(chain.predict(y), whole)
    return max(float((np.abs(a[s.name] - b[s.name]) / s.scale).max()) for s in whole.outputs)


@pytest.mark.slow
def test_codes_are_those_of_the_unsplit_file(residual, graph_models):
    """The ranges are the same and codes pass on as they are, so no step of rounding differs: 0 LSB."""
    model, x, chain = residual
    assert chain.is_integer and len(chain.parts) == 3 and chain.requantized() == []
    assert any(len(part.takes) > 1 for part in chain.parts[1:]), "no skip connection crosses"
    assert largest_steps(model, chain, x, graph_models.batch(model, 100, seed=5)) <= 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["concatenated", "attention"])
def test_so_they_are_for_joined_scales_and_inner_values(name, graph_models):
    model = graph_models.shaken(graph_models.ALL[name]())
    x = graph_models.batch(model, 64)
    chain = tfc.split(model, "recursive", parts=2).convert(x)
    assert chain.requantized() == []
    assert largest_steps(model, chain, x, graph_models.batch(model, 100, seed=5)) <= 1e-3


def test_both_sides_of_a_boundary_have_one_scale(residual):
    _, _, chain = residual
    given = {}
    for part in chain.parts:
        for spec in part.artifact.inputs:
            maker = given.get(part.takes[spec.name])
            if maker is not None:
                assert (spec.scale, spec.zero_point) == (maker.scale, maker.zero_point)
        given |= {part.gives[s.name]: s for s in part.artifact.outputs}
    assert any(part.takes[s.name] in given for part in chain.parts for s in part.artifact.inputs)


def test_several_inputs_and_outputs_by_name(graph_models):
    model = graph_models.shaken(graph_models.shared())
    x = graph_models.batch(model, 20)
    parts = tfc.split(model, "recursive", parts=2)
    chain = parts.convert(x, mode="float32")
    found, wanted = chain.predict(x), model(x, training=False)
    for name, y in zip(model.output_names, wanted, strict=True):
        np.testing.assert_allclose(found[name], y, atol=1e-4)
    swapped = chain.predict(dict(zip(reversed(chain.inputs), reversed(x), strict=True)))
    assert all(np.array_equal(swapped[name], found[name]) for name in found)
    with pytest.raises(ValueError, match="must hold the inputs"):
        chain.predict({"other": x[0]})


@pytest.mark.slow
def test_trained_ranges_are_taken_over():
    keras.utils.set_random_seed(0)
    layers = [L.Dense(8, activation="relu", name="a"), L.Dense(6, activation="relu", name="b"), L.Dense(3, name="c")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    x, y = np.random.default_rng(0).normal(size=(64, 4)).astype("float32"), np.arange(64) % 3
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, verbose=0, callbacks=[tfc.Compression([tfc.Quantize("int8")], verbose=0)])
    chain = tfc.split(model, "modular", at=["a"]).convert(3 * x)  # another calibration than training
    whole = tfc.convert(model, calibration=3 * x)
    (end,) = whole.outputs
    (mine,) = chain.parts[-1].artifact.outputs
    assert mine.scale == pytest.approx(end.scale, rel=1e-6)
    assert "were trained" in chain.parts[-1].artifact.metadata["notes"][0]


def test_half_floats_between_parts_are_codes_in_the_files():
    keras.utils.set_random_seed(0)
    half = keras.DTypePolicy("mixed_float16")
    x = inputs = keras.Input((8, 8, 1))
    for k in range(2):
        x = L.Conv2D(4, 3, activation="relu", name=f"c{k}", dtype=half)(x)
    model = keras.Model(inputs, L.Dense(3)(L.Flatten(dtype=half)(x)))
    data = np.random.default_rng(0).normal(size=(40, 8, 8, 1)).astype("float32")
    parts = tfc.split(model, "modular", at=["c0"])
    assert parts.models[1].inputs[0].dtype == "float16"
    np.testing.assert_array_equal(parts.predict(data, batch_size=40), model(data))
    chain = parts.convert(data)
    assert chain.is_integer and chain.parts[1].artifact.inputs[0].dtype == "int8"
    assert largest_steps(model, chain, data, data) <= 1e-3


def test_masks_cross_as_tensors():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), dtype="int32")
    x = L.GRU(3, return_sequences=True, name="gru")(L.Embedding(11, 4, mask_zero=True)(inputs))
    model = keras.Model(inputs, L.Dense(2)(L.LSTM(4)(x)))
    data = np.random.default_rng(0).integers(0, 4, (20, 6))
    parts = tfc.split(model, "modular", at=["gru"])
    assert [x.dtype for x in parts.models[1].inputs] == ["float32", "bool"]
    np.testing.assert_array_equal(parts.predict(data), model(data))
    np.testing.assert_allclose(parts.convert(mode="float32").predict(data), model(data), atol=1e-6)


def test_exits_of_the_files_are_those_of_the_models(tree):
    parts, data, chain = tree
    assert chain.threshold == parts.threshold and len(chain.parts) == 3
    mine, files = parts.run(data), chain.run(data)
    assert 0.2 < files.share_early < 1 and set(files.parts_run) == {1, 2, 3}
    assert np.mean(mine.parts_run == files.parts_run) > 0.8
    same = mine.parts_run == files.parts_run
    np.testing.assert_allclose(mine.outputs["end"][same], files.outputs["end"][same], atol=0.03)
    chain.threshold = 1.0
    assert chain.run(data).share_early == 0.0
    chain.threshold = parts.threshold


def test_what_is_saved_is_loaded(tree, tmp_path):
    _, data, chain = tree
    chain.save(tmp_path / "chain")
    names = sorted(p.name for p in (tmp_path / "chain").iterdir())
    assert names == [INDEX, "part_1.tflite", "part_2.tflite", "part_3.tflite"]
    again = ChainedArtifact.load(tmp_path / "chain")
    first, second = chain.run(data), again.run(data)
    np.testing.assert_array_equal(first.outputs["end"], second.outputs["end"])
    np.testing.assert_array_equal(first.parts_run, second.parts_run)
    assert first.macs == second.macs and again.summary() == chain.summary()
    assert again.parts[0].artifact.metadata == chain.parts[0].artifact.metadata


def test_damaged_folders_are_refused(tree, tmp_path):
    _, _, chain = tree
    folder = tmp_path / "chain"
    chain.save(folder)
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps({**index, "format": "other/1"}))
    with pytest.raises(ValueError, match="its format is 'other/1'"):
        ChainedArtifact.load(folder)
    (folder / INDEX).write_text("{")
    with pytest.raises(ValueError, match="no index of a chain"):
        ChainedArtifact.load(folder)
    (folder / INDEX).write_text(json.dumps(index))
    (folder / "part_2.tflite").write_bytes((folder / "part_1.tflite").read_bytes())
    with pytest.raises(ValueError, match="part_2.tflite has the SHA-256"):
        ChainedArtifact.load(folder)
    (folder / "part_2.tflite").unlink()
    with pytest.raises(FileNotFoundError):
        ChainedArtifact.load(folder)
    with pytest.raises(FileNotFoundError):
        chain.save(tmp_path / "absent" / "chain")
    assert not (tmp_path / "absent").exists()


def test_codes_of_another_scale_are_brought_over():
    """Files that were converted by themselves do not fit; the chain says so and stays right."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), L.Dense(8, name="a"), L.Dense(3, name="b")])
    parts = tfc.split(model, "modular", at=["a"])
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    first, second = parts.models
    middle = np.asarray(first(x))
    made = [
        ChainedPart(tfc.convert(first, calibration=x), {"input_layer": "x"}, {"a": "m"}),
        ChainedPart(tfc.convert(second, calibration=2 * middle), {"a_out": "m"}, {"b": "y"}),
    ]
    own = [s.name for s in made[0].artifact.inputs]
    made[0] = ChainedPart(made[0].artifact, dict.fromkeys(own, "x"), {"a": "m"})
    chain = ChainedArtifact(made, ["x"], {"b": "y"})
    assert chain.requantized() == ["m"] and "requantized between files: m" in chain.summary()
    np.testing.assert_allclose(chain.predict(x), model(x), atol=0.15)


def test_parts_that_do_not_fit_are_refused(residual):
    _, _, chain = residual
    first, second, *_ = chain.parts
    with pytest.raises(ValueError, match="which no part before gives"):
        ChainedArtifact([second], chain.inputs, chain.outputs)
    with pytest.raises(ValueError, match="no part gives"):
        ChainedArtifact([first], chain.inputs, {"y": "nowhere"})
    with pytest.raises(ValueError, match="part 1 has the inputs"):
        ChainedArtifact([ChainedPart(first.artifact, {"other": "x"}, first.gives)], ["x"], {})
    with pytest.raises(ValueError, match="kind must be"):
        ChainedArtifact(chain.parts, chain.inputs, chain.outputs, kind="odds")


def test_integer_parts_need_data(residual):
    model, _, _ = residual
    with pytest.raises(ValueError, match="needs calibration data"):
        convert_links([PartToConvert(model, ("x",), ("y",))], None)


def test_a_chain_is_whole_at_every_moment_of_a_save(residual, tmp_path, monkeypatch):
    _, x, chain = residual
    other = ChainedArtifact(
        [ChainedPart(Artifact(p.artifact.content + bytes(16)), p.takes, p.gives) for p in chain.parts],
        chain.inputs, chain.outputs, name="other",
    )  # fmt: skip
    chain.save(tmp_path)
    replace, link, seen = os.replace, os.link, []

    def look(do):
        def done(*arguments):
            do(*arguments)
            seen.append(ChainedArtifact.load(tmp_path).name)

        return done

    monkeypatch.setattr(os, "replace", look(replace))
    monkeypatch.setattr(os, "link", look(link))
    other.save(tmp_path)
    assert len(seen) == 8 and seen == [chain.name] * 3 + ["other"] * 5  # links, then the index that names them
    assert sorted(os.listdir(tmp_path)) == [INDEX, "part_1.tflite", "part_2.tflite", "part_3.tflite"]


def test_a_chain_answers_several_threads(residual):
    _, x, chain = residual
    want, found = chain.predict(x), []
    threads = [threading.Thread(target=lambda: found.append(chain.predict(x))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(np.array_equal(each, want) for each in found)
