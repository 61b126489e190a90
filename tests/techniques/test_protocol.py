"""Generic code calls hooks and reads capabilities; it never asks a technique or a transform what it is."""

import ast
import inspect
import pathlib

import keras
import pytest

import tfcompress as tfc
from tfcompress.validation.registration import register_classes

PACKAGE = pathlib.Path(tfc.__file__).parent
GENERIC = ("training", "fake_quant", "session_layers", "export", "techniques/base.py", "techniques/protocol")


def subclasses(kind):
    """Every class below a class."""
    return {kind}.union(*(subclasses(each) for each in kind.__subclasses__()))


@pytest.fixture(scope="module")
def kinds():
    """Names of all techniques and transforms of the package."""
    register_classes()
    found = subclasses(tfc.Technique) | subclasses(tfc.Transform)
    return {each.__name__ for each in found if each.__module__.startswith("tfcompress.")}


@pytest.fixture(scope="module")
def attributes():
    """What techniques and transforms have and Keras layers have not."""
    found = set(dir(tfc.Technique)) | set(dir(tfc.Transform)) | {"l1", "own_weights", "title"}
    return found - set(dir(keras.layers.Layer))


def questions(tree, kinds, attributes):
    """Yields (line, text) of every `isinstance`, `hasattr` or `getattr` that asks a technique or a transform."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or len(node.args) < 2:
            continue
        asked = {
            ast.unparse(n).split(".")[-1] for n in ast.walk(node.args[1]) if isinstance(n, ast.Name | ast.Attribute)
        }
        named = node.args[1].value if isinstance(node.args[1], ast.Constant) else None
        if node.func.id in ("isinstance", "issubclass") and asked & kinds:
            yield node.lineno, ast.unparse(node)
        if node.func.id in ("hasattr", "getattr") and named in attributes:
            yield node.lineno, ast.unparse(node)


def files():
    for each in GENERIC:
        path = PACKAGE / each
        yield from [path] if path.suffix else sorted(path.rglob("*.py"))


def test_generic_code_does_not_ask(kinds, attributes):
    found = [
        f"{file.relative_to(PACKAGE)}:{line}: {text}"
        for file in files()
        for line, text in questions(ast.parse(file.read_text(encoding="utf-8")), kinds, attributes)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "isinstance(t, Quantize)",
        "isinstance(t, (int, mask.Mask))",
        "hasattr(t, 'loss')",
        "getattr(t, 'spec', None)",
        "hasattr(x, 'settle')",
        "getattr(t, 'l1', 0)",
    ],
)
def test_a_question_is_found(kinds, attributes, line):
    assert len(list(questions(ast.parse(line), kinds, attributes))) == 1


@pytest.mark.parametrize("line", ["isinstance(op, keras.layers.Layer)", "getattr(op, 'activation', None)"])
def test_questions_about_layers_are_fine(kinds, attributes, line):
    assert list(questions(ast.parse(line), kinds, attributes)) == []


def hooks(kind):
    """Public functions and properties that a class itself defines."""
    return {n: v for n, v in vars(kind).items() if not n.startswith("_") and (callable(v) or isinstance(v, property))}


@pytest.mark.parametrize("kind", [tfc.Technique, tfc.Transform, tfc.GraphTechnique], ids=lambda k: k.__name__)
def test_every_hook_is_documented(kind):
    assert kind.__doc__ and "Example:" in kind.__doc__
    assert all(inspect.getdoc(hook) for hook in hooks(kind).values())


def test_no_technique_has_a_hook_that_the_base_does_not_know():
    """What a hand written list of hooks in generic code would call is a method of the base class."""
    register_classes()
    for kind in subclasses(tfc.Technique):
        if kind.__module__.startswith("tfcompress."):
            own = set(hooks(kind)) - set(dir(tfc.GraphTechnique))
            assert own <= {"families"}, kind  # of PruneChannels, for its own use


def test_a_technique_that_overrides_nothing_does_nothing(points, net):
    @keras.saving.register_keras_serializable("test_protocol")
    class Nothing(tfc.Technique):
        pass

    technique = Nothing()
    assert not (technique.treats_weights or technique.adds_loss or technique.adds_penalty)
    model = net()
    before = [w.numpy() for w in model.weights]
    with pytest.raises(ValueError, match="Nothing in this model would be compressed"):
        tfc.Compression(technique, verbose=0).set_model(model)
    compression = tfc.Compression([technique, tfc.Prune(0.5)], verbose=0)
    compression.set_model(model)
    assert compression.plan.kernels["Nothing"] == []
    assert all((w.numpy() == b).all() for w, b in zip(model.weights, before, strict=True))


def test_penalties_and_losses_of_a_user_take_part_without_being_declared(points, net):
    """Once only a technique with a field named `l1` was asked for its penalty."""

    class Large(tfc.Technique):
        def penalty(self, kernels):
            return 100.0

        def transforms(self, target, setting, seed):
            return []

    class Larger(tfc.Technique):
        def loss(self, memory, x, y_pred, features, sample_weight):
            return 1000.0

    plain = net().fit(*points, epochs=1, verbose=0).history["loss"][0]
    for technique, more in ((Large(), 100.0), (Larger(), 1000.0)):
        compression = tfc.Compression([technique, tfc.Prune(0.5)], verbose=0)
        told = net().fit(*points, epochs=1, verbose=0, callbacks=[compression]).history["loss"][0]
        assert more - 2 < told - plain < more + 2
