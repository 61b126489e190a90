"""The checks of `tfc.testing` pass for what the library has, and find each thing that can be wrong."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.fake_quant.transforms.centroids import Centroids
from tfcompress.fake_quant.transforms.channel_mask import ChannelMask
from tfcompress.fake_quant.transforms.mask import Mask
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.fake_quant.transforms.ranges import ActivationRange, LearnedRange, PercentileRange
from tfcompress.fake_quant.transforms.scores import ScoredMask

L, registered = keras.layers, keras.saving.register_keras_serializable("test_testing")
check = tfc.testing
TECHNIQUES = [
    tfc.Prune(0.5),
    tfc.Prune(0.5, criterion="taylor", l1=1e-4),
    tfc.Cluster(4, begin=0.0),
    tfc.Quantize("int8"),
    tfc.PruneChannels(0.5),
    tfc.PruneChannels(schedule=tfc.schedules.linear(0.0, 0.5), round_to=1),
    tfc.MergeChannels(0.3),
    tfc.LowRank(2),
    tfc.Fold(),
    tfc.Equalize(),
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("technique", TECHNIQUES, ids=repr)
def test_techniques_of_the_library_pass(technique):
    check.check_technique(technique)


@pytest.mark.slow
def test_distill_and_drop_layers_pass_with_models_of_their_own():
    keras.utils.set_random_seed(0)
    teacher = keras.Sequential([keras.Input((6,)), L.Dense(16, activation="relu"), L.Dense(3)])
    student = keras.Sequential([keras.Input((6,)), L.Dense(8, activation="relu"), L.Dense(3)])
    check.check_technique(tfc.Distill(teacher, answers="linear"), student)
    x = inputs = keras.Input((6,))
    for _ in range(2):
        x = L.Add()([x, L.Dense(6, activation="relu")(x)])
    check.check_technique(tfc.DropLayers(1), keras.Model(inputs, L.Dense(3)(x)))


def off(transform):
    transform.build((3, 3, 4, 8))
    transform.variables[0].assign(np.random.default_rng(0).integers(0, 2, transform.variables[0].shape))
    return transform


@pytest.mark.parametrize(
    "make",
    [
        lambda: off(Mask("xyio")),
        lambda: off(ScoredMask("taylor", axes="xyio")),
        lambda: off(ChannelMask(2, "xyio")),
        lambda: Centroids(4, axes="xyio"),
        lambda: QuantizeWeight(8, True, (3,), "xyio"),
        ActivationRange,
        LearnedRange,
        PercentileRange,
    ],
)
def test_transforms_of_the_library_pass(make):
    check.check_transform(make())


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "layer, shape", [(L.Dense(5), (6,)), (L.Conv2D(4, 3), (6, 6, 3)), (L.LayerNormalization(), (4, 6))]
)
def test_layers_of_keras_pass(layer, shape):
    check.check_layer(layer, shape)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ["magnitude", "movement", "taylor", "l2", "activation"])
def test_criteria_of_the_library_pass(name):
    check.check_criterion(name)


# what is wrong is found


@registered
class Shorter(tfc.Transform):
    def call(self, w):
        return w[:-1]


@registered
class Shrinking(tfc.Transform):
    def call(self, w):
        return self.straight_through(lambda x: 0.9 * x, w)


@registered
class Blocking(tfc.Transform):
    def call(self, w):
        return tf.round(w)


@registered
class Scaling(tfc.Transform):
    def build(self, shape):
        self.factor = self.state("factor", (), "ones")
        self.built = True

    def call(self, w):
        return tf.math.sign(w) * tf.math.abs(w) * self.factor + 0.0 * w**2


@registered
class Forgetful(tfc.Transform):
    def __init__(self, level=1.0, **kwargs):
        super().__init__(**kwargs)
        self.level = level

    def call(self, w):
        return self.straight_through(lambda x: tf.clip_by_value(x, -self.level, self.level), w)


@registered
class Incomplete(tfc.Transform):
    def __init__(self, level, **kwargs):
        super().__init__(**kwargs)

    def call(self, w):
        return w


class Nameless(tfc.Transform):
    def call(self, w):
        return w


@pytest.mark.parametrize(
    "transform, sentence",
    [
        (Shorter(), "Shorter: the shape must stay"),
        (Shrinking(), "Shrinking: a second pass changes values by"),
        (Blocking(), "Blocking: .*gradient"),
        (Forgetful(0.5), "Forgetful: a copy made from its configuration"),
        (Incomplete(0.5), r"Incomplete: get_config must hold every constructor argument.*\['axes', 'dtype'"),
        (Nameless(), "Nameless: files can't name the class"),
    ],
)
def test_a_wrong_transform_is_told(transform, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check.check_transform(transform)


@registered
@dataclasses.dataclass(frozen=True)
class Shrink(tfc.Technique):
    def transforms(self, target, setting, seed):
        return [Shrinking(target.axes)]


@registered
@dataclasses.dataclass(frozen=True)
class Random(tfc.Technique):
    def advance(self, moment, kernels, memory):
        for kernel in kernels:
            kernel.chain.find(Mask).mask.assign(np.random.default_rng().integers(0, 2, kernel.chain.variable.shape))
            memory.is_final = True

    def transforms(self, target, setting, seed):
        return [Mask(target.axes)]


@registered
class Undecorated(tfc.Technique):
    amount: float = 0.5


@registered
@dataclasses.dataclass(frozen=True)
class Lossy(tfc.Technique):
    amount: float = 0.5

    def get_config(self):
        return {}


@registered
@dataclasses.dataclass(frozen=True)
class Everywhere(tfc.Technique):
    """Treats what `where` leaves out."""

    def setting(self, target):
        return True

    def transforms(self, target, setting, seed):
        return [Mask(target.axes)]


@registered
@dataclasses.dataclass(frozen=True)
class Always(tfc.Technique):
    """Treats what `overrides` leaves out."""

    def setting(self, target):
        return dataclasses.replace(self, overrides=None).of_all(target)

    def of_all(self, target):
        return super().setting(target)

    def transforms(self, target, setting, seed):
        return [Mask(target.axes)]


@registered
@dataclasses.dataclass(frozen=True)
class InPlace(tfc.GraphTechnique):
    def operate(self, model, evidence):
        return self.result(model)


@pytest.mark.parametrize(
    "technique, sentence",
    [
        (Shrink(), "Shrink: a second pass through its transforms"),
        pytest.param(Random(), "Random: (two trainings|finish)", marks=pytest.mark.slow),
        (Undecorated(), r"Undecorated: its fields take effect only in a dataclass. Write @dataclass\(frozen=True\)"),
        (Everywhere(), "Everywhere: it treats conv2d.*/kernel, which where=.* leaves out"),
        (Everywhere(where="dense.*"), "Everywhere: it treats conv2d.*/kernel, which where=.* leaves out"),
        (Always(), "Always: it treats conv2d.*/kernel, which overrides=.* leaves out"),
        (Lossy(0.3), "Lossy: read from JSON it is not equal to the original"),
    ],
)
def test_a_wrong_technique_is_told(technique, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check.check_technique(technique)


@pytest.mark.parametrize(
    "made, sentence",
    [
        (None, "a list of tfc.Transform objects. Received: .*None"),
        (Blocking(), "a list of tfc.Transform objects. Received: .*Blocking"),
        ([abs], "an object of a subclass of tfc.Transform. Received: .*abs"),
    ],
)
def test_transforms_of_another_form_are_refused(made, sentence):
    @dataclasses.dataclass(frozen=True)
    class Mistaken(tfc.Technique):
        def transforms(self, target, setting, seed):
            return made

    with pytest.raises(TypeError, match=f"Mistaken: .*transforms.* must be {sentence}"):
        tfc.Compression(Mistaken(), verbose=0).set_model(keras.Sequential([keras.Input((4,)), L.Dense(2)]))


class Transposed(L.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(6, shape[-1]), name="kernel")

    def call(self, x):
        return x @ tf.transpose(self.kernel)


def test_a_wrong_description_is_told():
    registered(Transposed)
    with pytest.raises(AssertionError, match="Transposed: its channels are not described"):
        check.check_layer(Transposed(), (6,))
    tfc.describe(Transposed, flow="mix", kernel="ioo")
    with pytest.raises(AssertionError, match="axes of weight 'kernel' must be at most 2 letters. Received: 'ioo'"):
        check.check_layer(Transposed(), (6,))
    tfc.describe(Transposed, flow="pass", kernel="oi")  # it mixes channels
    with pytest.raises(AssertionError, match="Transposed: .*channels"):
        check.check_layer(Transposed(), (6,))
    tfc.describe(Transposed, flow="mix", kernel="oi")
    check.check_layer(Transposed(), (6,), steps=2)  # as a product of two activations it rounds its weights otherwise


@pytest.mark.parametrize(
    "name, score, sentence",
    [
        ("one number", lambda e: np.float32(1), "must return one score per weight"),
        ("drawn", lambda e: np.random.default_rng().random(e.weight.shape), "returns different scores for the same"),
        ("in place", lambda e: np.abs(e.weight, out=e.weight), "must not change the weight"),
        ("texts", lambda e: np.full(e.weight.shape, "high"), "must return numbers. Received: an array of <U4"),
        ("no number", lambda e: np.log(-np.abs(e.weight)), "not numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_wrong_criterion_is_told(name, score, sentence):
    tfc.criterion(name)(score)
    with pytest.raises(AssertionError, match=sentence):
        check.check_criterion(name)


def test_a_wrong_gradient_of_a_criterion_is_told():
    tfc.criterion("one figure", gradient=lambda w, g: tf.reduce_sum(w * g))(lambda e: e.noted)
    with pytest.raises(AssertionError, match=r"gradient= must return one figure per weight, .*Received: shape \(\)"):
        check.check_criterion("one figure")


@pytest.mark.parametrize(
    "name, criterion, sentence",
    [
        (
            "matrix",
            lambda s: ((g, np.abs(v)) for g, v in s.producers()),
            r"figures of shape \(8, 18\) for \(8,\) groups",
        ),
        ("nothing", lambda s: None, "None in place of an iterator; write `yield`"),
        ("single", lambda s: (v.max(1) for _, v in s.producers()), r"Received: array\("),
        ("not a number", lambda s: ((g, v.max(1) * np.nan) for g, v in s.producers()), "8 of 8 are not numbers"),
    ],
)
def test_a_wrong_criterion_of_channels_is_told(name, criterion, sentence):
    tfc.channel_criterion(name)(criterion)
    with pytest.raises((TypeError, ValueError), match=f"PruneChannels: criterion '{name}' must yield .*{sentence}"):
        check.check_criterion(name)


def test_a_shape_of_one_number_is_refused():
    with pytest.raises(TypeError, match="check_layer: input_shape must be a tuple .* Received: input_shape=8"):
        check.check_layer(L.Dense(2), 8)


@pytest.mark.parametrize("call", [check.check_technique, check.check_transform])
def test_other_objects_are_refused(call):
    with pytest.raises(TypeError, match="Received: .*3"):
        call(3)
    with pytest.raises(ValueError, match="criterion must be one of"):
        check.check_criterion("no such")
