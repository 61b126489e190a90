"""The reference networks have the parameter counts that published figures speak of."""

import numpy as np
import pytest

from tfcompress.demo import networks

# parameters, input shape, classes
NETS = {
    "tutorial": (20_410, (28, 28, 1), 10),
    "lenet300": (266_610, (28, 28, 1), 10),
    "lenet5": (431_080, (28, 28, 1), 10),
    "codelab": (110_986, (28, 28, 1), 10),
    "resnet8": (78_666, (32, 32, 3), 10),
    "ds_cnn": (24_908, (49, 10, 1), 12),
    "mnist_teacher": (80_202, (28, 28, 1), 10),
    "mnist_student": (6_092, (28, 28, 1), 10),
}


@pytest.mark.parametrize("name", NETS)
def test_parameters_and_shapes(name):
    parameters, shape, classes = NETS[name]
    model = getattr(networks, name)()
    assert model.name == name
    assert model.count_params() == parameters
    assert model.input_shape == (None, *shape)
    outputs = model(np.random.default_rng(0).random((2, *shape), "float32"), training=False)
    assert outputs.shape == (2, classes)
    assert not np.allclose(np.sum(outputs, axis=-1), 1.0)  # logits, not a softmax
