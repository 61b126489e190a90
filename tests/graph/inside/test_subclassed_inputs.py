"""Types of the inputs of subclassed models, of which Keras keeps only the shapes."""

import keras
import numpy as np
from keras import layers as L

import tfcompress as tfc
from tfcompress.graph.keras_private import input_specs


class Text(keras.Model):
    def __init__(self):
        super().__init__()
        self.table, self.head = L.Embedding(500, 8), L.Dense(3)

    def call(self, tokens):
        return self.head(keras.ops.mean(self.table(tokens), axis=1))


class Both(Text):
    def call(self, inputs):
        tokens, x = inputs["tokens"], inputs["x"]
        return super().call(tokens) + keras.ops.sum(x, axis=-1, keepdims=True)


IDS = np.random.default_rng(0).integers(0, 500, (64, 6)).astype("int32")


def test_token_ids_are_integers():
    model = Text()
    model(IDS[:1])
    assert input_specs(model).dtype == "int32"
    artifact = tfc.convert(model, calibration=IDS, diagnose=False)
    plain = model.predict(IDS, verbose=0)
    assert artifact.is_integer
    assert np.sqrt(np.mean((artifact.predict(IDS) - plain) ** 2)) < 0.05 * plain.std()


def test_only_the_ids_are():
    model = Both()
    model({"tokens": IDS[:1], "x": np.zeros((1, 4), "float32")})
    assert {name: spec.dtype.name for name, spec in input_specs(model).items()} == {"tokens": "int32", "x": "float32"}


def test_training_does_not_round_the_ids():
    keras.utils.set_random_seed(0)
    model = Text()
    model(IDS[:1])
    model.compile("adam", "mse")
    compression = tfc.Compression(tfc.Quantize("int8"), verbose=0)
    y = model.predict(IDS, verbose=0)
    model.fit(IDS, y, epochs=3, verbose=0, callbacks=[compression])
    assert "input 0" not in [span.title for span in compression.plan.state.ranges]
    plain = model.predict(IDS, verbose=0)
    made = compression.convert(calibration=IDS, diagnose=False).predict(IDS)
    assert np.sqrt(np.mean((made - plain) ** 2)) < 0.08 * plain.std()
