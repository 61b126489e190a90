"""The fixtures are what they say, and the count of tests tells missing data from the rest."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

CONFTEST = pathlib.Path(__file__).with_name("conftest.py")
SUITE = """
import pytest

def test_passes():
    assert True

def test_wants_mnist(mnist):
    assert len(mnist.x_train) == 60000

@pytest.mark.data
def test_skips_by_itself():
    pytest.skip("not here")

@pytest.mark.data
@pytest.mark.gpu
def test_wants_a_gpu_too():
    pytest.skip("no GPU")

def test_skips_for_another_reason():
    pytest.skip("other")
"""


@pytest.fixture
def run(tmp_path):
    """Runs a small suite with this conftest in a place that has no data beside it."""
    folder = tmp_path / "repository" / "tests"
    folder.mkdir(parents=True)
    shutil.copy(CONFTEST, folder)
    shutil.copytree(CONFTEST.with_name("fixtures"), folder / "fixtures")
    (folder / "test_suite.py").write_text(SUITE)

    def run(**env):
        config = ["-o", "markers=data\ngpu", "-p", "no:cacheprovider", "--strict-markers"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *config, str(folder)],
            capture_output=True,
            text=True,
            cwd=CONFTEST.parents[1],
            env={**os.environ, "TFCOMPRESS_REQUIRE_DATA": "0", **env},
        )
        return done.returncode, re.search(r"^tests: .*$", done.stdout, re.MULTILINE)[0]

    return run


@pytest.mark.slow
def test_missing_data_is_counted_and_can_be_a_failure(run):
    code, line = run()
    assert code == 0
    assert line == "tests: 1 run, 1 passed, 4 skipped (2 for missing data)"
    code, line = run(TFCOMPRESS_REQUIRE_DATA="1")
    assert code == 1
    assert line == "tests: 3 run, 1 passed, 2 failed, 2 skipped (0 for missing data)"


def test_tiny_model_is_small_and_its_statistics_are_not_those_of_a_new_layer(tiny_model):
    assert tiny_model.count_params() == 299
    for layer in tiny_model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight, new in zip(layer.get_weights(), (1, 0, 0, 1), strict=True):
                assert np.all(np.abs(weight - new) > 1e-4)


def test_tiny_data_can_be_learned(tiny_model, tiny_data):
    x, y = tiny_data
    tiny_model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    tiny_model.fit(x, y, epochs=15, verbose=0)
    assert np.mean(tiny_model.predict(x, verbose=0).argmax(-1) == y) > 0.95


def test_real_data_have_their_known_form(mnist, fashion_mnist):
    for digits in (mnist, fashion_mnist):
        assert digits.x_train.shape == (60000, 28, 28, 1) and digits.x_train.dtype == np.float32
        assert digits.x_test.shape == (10000, 28, 28, 1)
        assert (digits.x_test.min(), digits.x_test.max()) == (0.0, 1.0)
    assert np.bincount(mnist.y_test).tolist()[:3] == [980, 1135, 1032]
    assert set(np.bincount(fashion_mnist.y_test)) == {1000}
