"""Builds small reference networks: the six that this project is measured on, and the demo's two.

Each function builds a fresh, uncompiled Functional model that ends in logits (no softmax), so
`SparseCategoricalCrossentropy(from_logits=True)` is its loss. Input sizes are part of the network.
"""

import keras

L = keras.layers


def tutorial() -> keras.Model:
    """Builds the network of the tfmot tutorials: Conv12 3x3, MaxPool, Dense10; 20,410 parameters.

    Returns:
        Model (batch, 28, 28, 1) -> logits (batch, 10).

    Example:
        >>> tutorial().count_params()
        20410
    """
    x = inputs = keras.Input((28, 28, 1), name="image")
    x = L.Conv2D(12, 3, activation="relu", name="conv")(x)  # (batch, 26, 26, 12)
    x = L.MaxPooling2D(2, name="pool")(x)
    x = L.Flatten(name="flatten")(x)  # (batch, 2028)
    return keras.Model(inputs, L.Dense(10, name="logits")(x), name="tutorial")


def lenet300() -> keras.Model:
    """Builds LeNet-300-100 (LeCun et al., "Gradient-based learning", 1998); 266,610 parameters.

    Returns:
        Model (batch, 28, 28, 1) -> logits (batch, 10).

    Example:
        >>> lenet300().count_params()
        266610
    """
    x = inputs = keras.Input((28, 28, 1), name="image")
    x = L.Flatten(name="flatten")(x)  # (batch, 784)
    x = L.Dense(300, activation="relu", name="dense1")(x)
    x = L.Dense(100, activation="relu", name="dense2")(x)
    return keras.Model(inputs, L.Dense(10, name="logits")(x), name="lenet300")


def lenet5() -> keras.Model:
    """Builds LeNet-5 with Caffe's widths and a ReLU after each hidden layer; 431,080 parameters.

    Returns:
        Model (batch, 28, 28, 1) -> logits (batch, 10).

    Example:
        >>> lenet5().count_params()
        431080
    """
    x = inputs = keras.Input((28, 28, 1), name="image")
    x = L.Conv2D(20, 5, activation="relu", name="conv1")(x)  # (batch, 24, 24, 20)
    x = L.MaxPooling2D(2, name="pool1")(x)
    x = L.Conv2D(50, 5, activation="relu", name="conv2")(x)  # (batch, 8, 8, 50)
    x = L.MaxPooling2D(2, name="pool2")(x)
    x = L.Flatten(name="flatten")(x)  # (batch, 800)
    x = L.Dense(500, activation="relu", name="dense")(x)
    return keras.Model(inputs, L.Dense(10, name="logits")(x), name="lenet5")


def codelab() -> keras.Model:
    """Builds the network of TensorFlow's digit classifier codelab, with Dropout; 110,986 parameters.

    Returns:
        Model (batch, 28, 28, 1) -> logits (batch, 10).

    Example:
        >>> codelab().count_params()
        110986
    """
    x = inputs = keras.Input((28, 28, 1), name="image")
    x = L.Conv2D(32, 3, activation="relu", name="conv1")(x)  # (batch, 26, 26, 32)
    x = L.Conv2D(64, 3, activation="relu", name="conv2")(x)  # (batch, 24, 24, 64)
    x = L.MaxPooling2D(2, name="pool")(x)
    x = L.Dropout(0.25, name="dropout")(x)
    x = L.Flatten(name="flatten")(x)  # (batch, 9216)
    return keras.Model(inputs, L.Dense(10, name="logits")(x), name="codelab")


def resnet8() -> keras.Model:
    """Builds the ResNet-8 of MLPerf Tiny's image classification task; 78,666 parameters.

    Three residual blocks of 16, 32 and 64 filters with BatchNormalization and an L2 penalty of
    1e-4 on the kernels (Banbury et al., "MLPerf Tiny Benchmark", 2021).

    Returns:
        Model (batch, 32, 32, 3) -> logits (batch, 10).

    Example:
        >>> resnet8().count_params()
        78666
    """

    def conv(x, filters, size, strides, name):
        options = dict(padding="same", kernel_initializer="he_normal", name=name)
        penalty = keras.regularizers.L2(1e-4)
        return L.Conv2D(filters, size, strides, kernel_regularizer=penalty, **options)(x)

    x = inputs = keras.Input((32, 32, 3), name="image")
    x = conv(x, 16, 3, 1, "stem")
    x = L.ReLU(name="stem_relu")(L.BatchNormalization(name="stem_bn")(x))
    for block, (filters, strides) in enumerate(((16, 1), (32, 2), (64, 2)), start=1):
        y = conv(x, filters, 3, strides, f"block{block}_conv1")
        y = L.ReLU(name=f"block{block}_relu1")(L.BatchNormalization(name=f"block{block}_bn1")(y))
        y = conv(y, filters, 3, 1, f"block{block}_conv2")
        y = L.BatchNormalization(name=f"block{block}_bn2")(y)
        if strides > 1:
            x = conv(x, filters, 1, strides, f"block{block}_shortcut")
        x = L.Add(name=f"block{block}_add")([x, y])
        x = L.ReLU(name=f"block{block}_relu2")(x)
    x = L.AveragePooling2D(8, name="pool")(x)  # (batch, 1, 1, 64)
    x = L.Flatten(name="flatten")(x)
    logits = L.Dense(10, kernel_initializer="he_normal", name="logits")(x)
    return keras.Model(inputs, logits, name="resnet8")


def ds_cnn() -> keras.Model:
    """Builds the DS-CNN of MLPerf Tiny's keyword spotting task; 24,908 parameters.

    Four depthwise-separable blocks of 64 filters on 49 frames of 10 MFCCs (Zhang et al.,
    "Hello Edge", 2017; Banbury et al., "MLPerf Tiny Benchmark", 2021), L2 1e-4 on the kernels.

    Returns:
        Model (batch, 49, 10, 1) -> logits (batch, 12).

    Example:
        >>> ds_cnn().count_params()
        24908
    """
    penalty = keras.regularizers.L2(1e-4)

    def norm_relu(x, name):
        return L.ReLU(name=f"{name}_relu")(L.BatchNormalization(name=f"{name}_bn")(x))

    x = inputs = keras.Input((49, 10, 1), name="mfcc")
    x = L.Conv2D(64, (10, 4), 2, padding="same", kernel_regularizer=penalty, name="stem")(x)
    x = L.Dropout(0.2, name="stem_dropout")(norm_relu(x, "stem"))  # (batch, 25, 5, 64)
    for block in range(1, 5):
        name = f"block{block}_depthwise"
        x = L.DepthwiseConv2D(3, padding="same", depthwise_regularizer=penalty, name=name)(x)
        x = norm_relu(x, name)
        name = f"block{block}_pointwise"
        x = L.Conv2D(64, 1, kernel_regularizer=penalty, name=name)(x)
        x = norm_relu(x, name)
    x = L.Dropout(0.4, name="dropout")(x)
    x = L.AveragePooling2D((25, 5), name="pool")(x)
    x = L.Flatten(name="flatten")(x)
    return keras.Model(inputs, L.Dense(12, name="logits")(x), name="ds_cnn")


def mnist_teacher() -> keras.Model:
    """Builds the teacher of the demo: LeNet-like, wide enough for 99.3 % on MNIST; 80,202 parameters.

    Returns:
        Model (batch, 28, 28, 1) -> logits (batch, 10).

    Example:
        >>> mnist_teacher().count_params()
        80202
    """
    x = inputs = keras.Input((28, 28, 1), name="image")
    x = L.Conv2D(16, 5, activation="relu", name="conv1")(x)  # (batch, 24, 24, 16)
    x = L.MaxPooling2D(2, name="pool1")(x)
    x = L.Conv2D(32, 5, activation="relu", name="conv2")(x)  # (batch, 8, 8, 32)
    x = L.MaxPooling2D(2, name="pool2")(x)
    x = L.Flatten(name="flatten")(x)  # (batch, 512)
    x = L.Dense(128, activation="relu", name="dense")(x)
    x = L.Dropout(0.4, name="dropout")(x)
    return keras.Model(inputs, L.Dense(10, name="logits")(x), name="mnist_teacher")


def mnist_student() -> keras.Model:
    """Builds the student of the demo: four small convolutions; 6,092 parameters, under 12,000 B as int8.

    Returns:
        Model (batch, 28, 28, 1) -> logits (batch, 10).

    Example:
        >>> mnist_student().count_params()
        6092
    """

    def conv(x, filters, size, strides, name):
        return L.Conv2D(filters, size, strides, padding="same", activation="relu", name=name)(x)

    x = inputs = keras.Input((28, 28, 1), name="image")
    x = conv(x, 8, 5, 2, "conv1")  # (batch, 14, 14, 8)
    x = conv(x, 12, 3, 1, "conv2")
    x = L.MaxPooling2D(2, name="pool1")(x)  # (batch, 7, 7, 12)
    x = conv(x, 14, 3, 1, "conv3")
    x = L.MaxPooling2D(2, name="pool2")(x)  # (batch, 3, 3, 14)
    x = conv(x, 16, 3, 1, "conv4")
    x = L.Flatten(name="flatten")(x)  # (batch, 144)
    return keras.Model(inputs, L.Dense(10, name="logits")(x), name="mnist_student")
