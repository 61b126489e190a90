"""Seeds, tiny models and data, real data that lies beside the repository, and the count of tests.

A test marked `data` needs the real data; whoever asks for the `mnist` or `fashion_mnist` fixture is
marked by that. TFCOMPRESS_REQUIRE_DATA=1 makes a failure of every such test that is skipped.

A test marked `needs_keras("layers.X")` is skipped where the installed Keras has no such name, one marked
`needs_keras("3.12")` or `needs_tensorflow("2.20")` where it is older; with `rows=[...]` only those rows of it are.

Of a test marked `sampled(n)` every n-th row is in the fast tier; the others are marked `slow`.
"""

import collections
import importlib
import importlib.metadata
import importlib.util
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

SHARED_DATA = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
DATA_FIXTURES = {"mnist", "fashion_mnist"}
BENCH = pathlib.Path(__file__).resolve().parent / "bench"
MISSING_DATA = "missing data"


def _beside(name):
    """A module of `fixtures`; tests are imported one by one and can't import each other."""
    spec = importlib.util.spec_from_file_location(name, pathlib.Path(__file__).with_name("fixtures") / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GRAPH_MODELS = _beside("graph_models")
OWN_LAYERS = _beside("own_layers")
PAGES = _beside("pages")
ONE_OP_FILES = _beside("one_op_files")


def pytest_configure(config):
    """Fixtures that several folders ask for."""
    for name in ("tflite_files", "small_net"):
        config.pluginmanager.register(_beside(name), name)
    config.pluginmanager.register(PAGES, "pages")
    if keras.__version__.startswith(("3.9.", "3.10.")):  # they load a model of one input as one of a list of inputs
        config.addinivalue_line("filterwarnings", "ignore:(?s).*The structure of .inputs. doesn't match:UserWarning")


def pytest_runtest_setup(item):
    """Skips what is about a name that this Keras does not have yet, or about what a later version does."""
    values = [v for v in getattr(getattr(item, "callspec", None), "params", {}).values() if isinstance(v, str)]
    for mark in item.iter_markers():
        if mark.name in NEEDS:
            (what,), rows = mark.args, mark.kwargs.get("rows")
            if (rows is None or set(rows) & set(values)) and not NEEDS[mark.name](what):
                pytest.skip(f"needs {what} of {mark.name.removeprefix('needs_')}; {_versions()}")


def _versions():
    return f"TensorFlow {importlib.metadata.version('tensorflow')}, Keras {keras.__version__}"


def _is_from(version, wanted):
    return [int(n) for n in version.split(".")[:2]] >= [int(n) for n in wanted.split(".")]


def _tensorflow_has(version):
    return _is_from(importlib.metadata.version("tensorflow"), version)


def _keras_has(name):
    if name[0].isdigit():
        return _is_from(keras.__version__, name)
    found = keras
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is not None


NEEDS = {"needs_keras": _keras_has, "needs_tensorflow": _tensorflow_has}


@pytest.fixture(scope="session")
def keras_has():
    """Function from a public name below `keras` to whether the installed Keras has it."""
    return _keras_has


@pytest.fixture(scope="session")
def bench_module():
    """Imports a script of `tests/bench` by its name; those that it imports, some when they run, lie beside it."""
    sys.path.append(str(BENCH))
    yield importlib.import_module
    sys.path.remove(str(BENCH))


@pytest.fixture(scope="session")
def graph_models():
    """The module `graph_models`: models whose channels can be cut."""
    return GRAPH_MODELS


@pytest.fixture(scope="session")
def own_layers():
    """The module `own_layers`: layers with code of their own, and models of them."""
    return OWN_LAYERS


@pytest.fixture(scope="session")
def pages():
    """The functions that run pages of the documentation."""
    return PAGES


@pytest.fixture(scope="session")
def one_op_files():
    """The module `one_op_files`: files of one operation with weights of a given width, and NumPy's answers."""
    return ONE_OP_FILES


@pytest.fixture(params=OWN_LAYERS.MODELS)
def own_model(request):
    """One model after the other of layers with code of their own."""
    return OWN_LAYERS.MODELS[request.param]()


@pytest.fixture(params=GRAPH_MODELS.ALL)
def cuttable(request):
    """One model after the other whose channels can be cut, all weights drawn at random."""
    return GRAPH_MODELS.shaken(GRAPH_MODELS.ALL[request.param]())


@pytest.fixture(autouse=True)
def seeds():
    """Every test starts from the same state of Python's, NumPy's and TensorFlow's generators."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def shared_data():
    """Folder with the real data sets, or None."""
    return SHARED_DATA if SHARED_DATA.is_dir() else None


@pytest.fixture(scope="session")
def mnist():
    """MNIST: `x_train`, `y_train`, `x_test`, `y_test`; images float32 in 0..1, (n, 28, 28, 1)."""
    from tfcompress.datasets.mnist import load_mnist

    return load_mnist(_present("mnist/mnist.npz"))


@pytest.fixture(scope="session")
def fashion_mnist():
    """Fashion-MNIST in the form of `mnist`."""
    from tfcompress.datasets.mnist import load_fashion_mnist

    return load_fashion_mnist(_present("fashion_mnist"))


@pytest.fixture
def tiny_model():
    """Conv-BN-ReLU, depthwise-BN-ReLU, dense softmax on (8, 8, 1); not compiled, 299 parameters.

    Statistics and factors of BatchNormalization are random: with those of an untrained layer a
    test of folding would pass whatever the code does.
    """
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="conv"),
            layers.BatchNormalization(name="conv_bn"),
            layers.ReLU(name="conv_relu"),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise"),
            layers.BatchNormalization(name="depthwise_bn"),
            layers.ReLU(name="depthwise_relu"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, activation="softmax", name="head"),
        ],
        name="tiny",
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.gamma.shape
            layer.gamma.assign(rng.uniform(0.5, 1.5, size))
            layer.beta.assign(rng.normal(0, 0.3, size))
            layer.moving_mean.assign(rng.normal(0, 0.3, size))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, size))
    return model


@pytest.fixture
def tiny_data():
    """256 images (8, 8, 1), float32 in 0..1, and the class 0..2 that can be learned from them.

    The class is the third of the image, from left to right, that is brighter than the noise.
    """
    rng = np.random.default_rng(0)
    x = rng.uniform(0.0, 0.5, (256, 8, 8, 1)).astype("float32")
    y = rng.integers(0, 3, 256)
    for image, label in zip(x, y, strict=True):
        image[:, 3 * label : 3 * label + 2] += 0.5
    return x, y


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items):
    """Marks the tests that ask for real data, and the rows that the fast tier leaves out."""
    seen = collections.Counter()
    for item in items:
        if DATA_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("data")
        sampled = item.get_closest_marker("sampled")
        if sampled is not None and hasattr(item, "callspec"):
            rule = item.nodeid.split("[")[0]
            if seen[rule] % sampled.args[0]:
                item.add_marker("slow")
            seen[rule] += 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Notes which skips are for missing data, and refuses them where data must be there."""
    report = yield
    marks = {mark.name for mark in item.iter_markers()}
    # A device that is not there is another reason to skip, and a good one.
    if report.skipped and "data" in marks and not marks & {"gpu", "android"}:
        if hasattr(report, "wasxfail"):
            return report
        if os.environ.get("TFCOMPRESS_REQUIRE_DATA") == "1":
            report.outcome = "failed"
            report.longrepr = (
                f"{item.nodeid} was skipped, but TFCOMPRESS_REQUIRE_DATA=1 wants it to run: {report.longrepr}"
            )
        else:
            report.user_properties.append((MISSING_DATA, True))
    return report


def pytest_terminal_summary(terminalreporter):
    """One line with the counts, for people and scripts."""
    stats = terminalreporter.stats
    passed, skipped = len(stats.get("passed", [])), stats.get("skipped", [])
    failed = len(stats.get("failed", [])) + len(stats.get("error", []))
    expected = len(stats.get("xfailed", [])) + len(stats.get("xpassed", []))
    missing = sum((MISSING_DATA, True) in getattr(r, "user_properties", ()) for r in skipped)
    line = f"tests: {passed + failed + expected} run, {passed} passed"
    if failed:
        line += f", {failed} failed"
    terminalreporter.write_line(f"{line}, {len(skipped)} skipped ({missing} for missing data)")


def _present(name):
    """Path of a data set beside the repository; without it the test is skipped."""
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"{MISSING_DATA}: ../shared/data/{name} is not beside the repository")
    return path
