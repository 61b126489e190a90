"""What is joined is rounded once, on the joint scale: file and simulation are equal where XNNPACK runs the file."""

import keras
import numpy as np

import tfcompress as tfc

L = keras.layers


def test_inputs_and_tables_lie_on_the_joint_scale():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    a, b = keras.Input((6,), name="numbers"), keras.Input((3,), dtype="int32", name="words")
    h = L.Dense(16, activation="relu")(L.Concatenate()([a, L.Flatten()(L.Embedding(10, 4)(b))]))
    model = keras.Model({"numbers": a, "words": b}, {"small": L.Dense(1)(h), "big": L.Dense(5)(h)})
    x = {"numbers": rng.normal(size=(128, 6)).astype("float32"), "words": rng.integers(0, 10, (128, 3)).astype("int32")}
    model.compile("adam", {"small": "mse", "big": "mse"}, jit_compile=False)
    compression = tfc.Compression([tfc.Quantize("int8")], calibration=x, verbose=0)
    y = {"small": x["numbers"][:, :1], "big": rng.normal(size=(128, 5))}
    model.fit(x, y, epochs=2, verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=x)
    assert "QUANTIZE" not in {op.name for op in artifact.model.graphs[0].ops}
    simulated, found = compression.predict(x), artifact.predict(x)
    for out in artifact.outputs:
        assert np.abs(simulated[out.name] - found[out.name]).max() < 0.01 * out.scale
