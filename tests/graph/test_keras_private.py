"""The graph of live models; pins on every name Keras does not publish that `keras_private.py` leans on."""

import inspect

import keras
import numpy as np
import pytest

from tfcompress.graph import keras_private, rebuild, trace, tree

L = keras.layers


def sequential():
    return keras.Sequential([keras.Input((4,), name="x"), L.Dense(3, name="d"), L.ReLU(name="r")])


def functional():
    x = keras.Input((4,), name="x")
    return keras.Model(x, L.Dense(2, name="d")(x) + 1.0)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = L.Dense(3, name="first"), L.Dense(2, name="second")

    def call(self, x):
        return self.second(self.first(x))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 4), "float32"))
    return model


# the pins: each fails alone when Keras renames what it names


def test_pin_operation_class():
    from keras.src.ops.operation import Operation

    assert issubclass(L.Dense, Operation) and keras.Operation is Operation


def test_pin_autocast_scope():
    from keras.src.backend.common.variables import AutocastScope

    assert list(inspect.signature(AutocastScope).parameters) == ["dtype"]
    layer = L.Dense(2, dtype="mixed_bfloat16")
    layer.build((None, 3))
    with AutocastScope("bfloat16"):
        assert layer.kernel.value.dtype.name == "bfloat16"
        assert keras_private.full_precision(layer.kernel).dtype.name == "float32"


def test_pin_call_context():
    seen = []

    class Look(keras.layers.Layer):
        def call(self, x):
            seen.append(keras_private.is_training())
            return x

    model = keras.Sequential([keras.Input((2,)), Look()])
    seen.clear()
    for training in (True, False, None):
        model(np.ones((1, 2)), training=training)
    assert seen == [True, False, False] and not keras_private.is_training()


def test_pin_flatten_layers():
    outer = keras.Sequential([keras.Input((4,)), sequential(), L.Dense(1, name="end")])
    direct = outer._flatten_layers(include_self=False, recursive=False)
    everywhere = list(outer._flatten_layers(include_self=False))
    assert "end" in [layer.name for layer in direct]
    assert {"d", "r", "end"} <= {layer.name for layer in everywhere}


def test_pin_masks_of_tensors():
    masked = L.Masking()(np.zeros((1, 2, 3), "float32"))
    assert masked._keras_mask.shape == (1, 2)


def test_pin_input_structures():
    assert functional()._inputs_struct._keras_history.operation.name == "x"
    assert sequential()._functional._inputs_struct is not None
    assert getattr(subclassed(), "_inputs_struct", None) is None


def test_pin_nodes():
    model = functional()
    nodes = [node for depth in model._nodes_by_depth.values() for node in depth]
    assert {node.is_input for node in nodes} == {True, False}
    (node,) = [node for node in nodes if getattr(node.operation, "name", "") == "d"]
    assert node.input_tensors == model.inputs and len(node.outputs) == 1
    assert node.arguments.fill_in({id(model.inputs[0]): "value"}) == (("value",), {})
    assert model._outputs_struct is not None


def test_pin_training_argument_and_policy():
    assert isinstance(functional()._call_has_training_arg, bool)
    layer = L.Dense(2, dtype="mixed_float16")
    layer._dtype_policy = keras.DTypePolicy("float32")
    assert layer.compute_dtype == "float32"


def test_a_name_that_is_nowhere_is_told_with_the_versions_that_have_it():
    for find in (
        lambda: keras_private._module_name("tomorrow", "keras.src.backend", "keras.src.no_such_module"),
        lambda: keras_private._attribute(L.Dense(2), "tomorrow"),
    ):
        with pytest.raises((ImportError, AttributeError), match="'tomorrow'.*Keras 3.8 to 3.15.*install one of these"):
            find()


def test_a_name_is_found_in_any_of_its_places():
    found = keras_private._module_name("Operation", "keras.src.no_such_module", "keras.src.ops.operation")
    assert found is keras.Operation
    assert keras_private._attribute(L.Dense(2, name="d"), "_tomorrow", "name") == "d"


# the graph


def test_leaves_have_unique_paths():
    parts = [keras.Sequential([keras.Input((4,)), L.Dense(4, name="d")], name=n) for n in "ab"]
    model = keras.Sequential([keras.Input((4,)), *parts])
    paths = [path for path, _ in tree.leaves(model)]
    assert {"a/d", "b/d"} <= set(paths) and len(set(paths)) == len(paths)


def test_an_operation_used_twice_is_one_leaf():
    x, dense = keras.Input((4,)), L.Dense(4, name="d")
    model = keras.Model(x, dense(dense(x)))
    assert [path for path, _ in tree.leaves(model)].count("d") == 1
    calls = [call for call in trace.trace(model).calls if call.op is dense]
    assert len(calls) == 2 and calls[0].outputs == calls[1].inputs


@pytest.mark.parametrize("build", [sequential, functional, subclassed])
def test_trace_follows_every_form(build):
    model = build()
    found = trace.trace(model)
    assert found.unknown() == [] and None not in found.outputs
    assert all("call" not in vars(call.op) for call in found.calls)


def test_trace_knows_nodes_of_keras_ops():
    names = [type(call.op).__name__ for call in trace.trace(functional()).calls]
    assert "Dense" in names and "Add" in names


def test_frozen_containers_freeze_what_is_inside():
    inner = sequential()
    outer = keras.Sequential([keras.Input((4,)), inner, L.Dense(1, name="end")])
    inner.trainable = False
    off = tree.frozen_ids(outer)
    assert id(inner.get_layer("d")) in off and id(outer.get_layer("end")) not in off


def test_overrides_are_taken_off_also_after_an_error():
    layer = L.Dense(2)
    plain = layer.call
    with pytest.raises(RuntimeError), keras_private.override_attributes([(layer, "call", lambda x: x)]):
        assert layer.call(5) == 5
        raise RuntimeError
    assert layer.call == plain and "call" not in vars(layer)


def test_rebuild_computes_the_same():
    model = functional()
    copied = {}

    def replace(path, op):
        copied[path] = op
        return op

    new = rebuild.rebuild(model, replace)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    assert np.array_equal(new.predict(x, verbose=0), model.predict(x, verbose=0))
    assert "d" in copied


def test_a_subclassed_model_has_no_graph_to_rebuild():
    with pytest.raises(ValueError, match="subclassed.*tfc.Compression"):
        rebuild.rebuild(subclassed(), lambda path, op: op)


def test_input_specs_of_an_unbuilt_model():
    with pytest.raises(ValueError, match="Call it once on a batch"):
        keras_private.input_specs(Subclassed())


def test_what_is_attached_is_no_part_of_the_model():
    model, extra = functional(), L.Dense(1)
    before = len(model.layers), len(model.weights)
    rebuild.attach(model, "extra", extra)
    assert rebuild.attached(model, "extra") is extra
    assert (len(model.layers), len(model.weights)) == before


def test_pin_functions_that_an_export_replaces(monkeypatch):
    called = []
    for owner, name, call in (
        (keras_private.RANDOM, "normal", lambda: keras.random.normal((2,))),
        (keras_private.NUMPY, "argmax", lambda: keras.ops.argmax(np.ones(3))),
        (keras_private.NUMPY, "digitize", lambda: keras.ops.digitize(np.ones(3), np.ones(2))),
        (
            keras_private.ENCODING,
            "tf_encode_categorical_inputs",
            lambda: L.CategoryEncoding(3)(np.ones((1, 2), "int32")),
        ),
    ):
        plain = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, plain=plain, name=name, **k: called.append(name) or plain(*a, **k))
        call()
    assert called == ["normal", "argmax", "digitize", "tf_encode_categorical_inputs"]
    assert all(hasattr(keras_private.RANDOM, name) for name in keras_private.DRAWN)


def test_pin_inputs_are_converted_in_one_place():
    for model in (functional(), sequential()):
        ((owner, name, _),) = keras_private.keep_input_dtypes(model)
        assert callable(getattr(owner, name))
    assert keras_private.keep_input_dtypes(subclassed()) == []


def test_trace_knows_inputs_of_integers_that_are_only_cast():
    bytes_, indices = keras.Input((4,), dtype="uint8", name="b"), keras.Input((4,), dtype="int32", name="i")
    model = keras.Model([bytes_, indices], [L.Rescaling(0.1)(bytes_), L.Embedding(5, 2)(indices)])
    assert trace.trace(model).float_inputs == {0: "b"}
