"""The benchmark nets in tf_keras, for the tfmot arms: rebuilt from the Keras 3 configuration, with its weights."""

import tf_keras

from tfcompress.demo import networks


def twin(model):
    """Returns the tf_keras twin of a flat Keras 3 Functional model without shared layers."""
    made = {}

    def source(t):
        return made[id(t)]

    for k, t in enumerate(model.inputs):
        made[id(t)] = tf_keras.Input(t.shape[1:], name=f"input_{k}")
    pairs = []
    for layer in model.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        config = {k: v for k, v in layer.get_config().items() if k not in ("dtype", "quantization_config")}
        config = {k: _plain(v) for k, v in config.items()}
        copy = getattr(tf_keras.layers, type(layer).__name__)
        copy = copy(**{k: v for k, v in config.items() if k in _arguments(copy)})
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        found = [source(t) for t in inputs]
        made[id(layer.output)] = copy(found if len(found) > 1 else found[0])
        pairs.append((layer, copy))
    twin = tf_keras.Model([made[id(t)] for t in model.inputs], [made[id(t)] for t in model.outputs])
    for layer, copy in pairs:
        copy.set_weights(layer.get_weights())
    return twin


def build(name):
    """Returns the tf_keras twin of a net of `tfcompress.zoo`."""
    return twin(getattr(networks, name)())


def _plain(value):
    """A Keras 3 configuration of an initializer or regularizer, as the name tf_keras knows it by."""
    return value["class_name"] if isinstance(value, dict) and "class_name" in value else value


def _arguments(cls):
    import inspect

    names = set()
    for base in cls.__mro__:
        if "__init__" in vars(base):
            names |= set(inspect.signature(base.__init__).parameters)
    return names - {"self", "kwargs", "args"} | {"name", "trainable"}
