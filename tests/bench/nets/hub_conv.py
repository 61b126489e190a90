"""Convolutional backbones of KerasHub, and tasks on them, in sizes of a toy."""

import keras
from keras import layers as L

from nets.common import net, pictures


def hub(name, side=32):
    """Registers the backbone that a function builds from `keras_hub.models`, where that is installed."""

    def register(build):
        def make(rng):
            import keras_hub.models

            return build(keras_hub.models), pictures(rng, side)

        make.__name__ = f"hub_{name}"
        net(make)
        return build

    return register


def classified(backbone, classes=5):
    """A backbone with the mean of its last feature map and a classifier on it."""
    h = backbone.output
    h = min(h.values(), key=lambda x: x.shape[1]) if isinstance(h, dict) else h
    return keras.Model(backbone.input, L.Dense(classes)(L.GlobalAveragePooling2D()(h)))


@hub("resnet")
def resnet(models):
    return models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[1, 1], stackwise_num_strides=[1, 2], block_type="basic_block", image_shape=(32, 32, 3),
    )  # fmt: skip


@hub("resnet_v2")
def resnet_v2(models):
    return classified(models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[7], stackwise_num_filters=[64, 24],
        stackwise_num_blocks=[2, 1], stackwise_num_strides=[1, 2], block_type="basic_block", use_pre_activation=True,
        image_shape=(32, 32, 3),
    ))  # fmt: skip


@hub("resnet_vd")
def resnet_vd(models):
    return classified(models.ResNetBackbone(
        input_conv_filters=[8, 8, 16], input_conv_kernel_sizes=[3, 3, 3], stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[1, 1], stackwise_num_strides=[1, 2], block_type="basic_block_vd",
        image_shape=(32, 32, 3),
    ))  # fmt: skip


@hub("vgg")
def vgg(models):
    return models.VGGBackbone(stackwise_num_repeats=[1, 1], stackwise_num_filters=[8, 16], image_shape=(32, 32, 3))


@hub("densenet")
def densenet(models):
    return models.DenseNetBackbone(stackwise_num_repeats=[2, 2], growth_rate=8, image_shape=(32, 32, 3))


@hub("cspnet")
def cspnet(models):
    return models.CSPNetBackbone(
        stem_filters=8, stem_kernel_size=3, stem_strides=2, stackwise_depth=[1, 1], stackwise_strides=[1, 2],
        stackwise_num_filters=[16, 24], block_type="edge_block", stage_type="dark", image_shape=(32, 32, 3),
    )  # fmt: skip


@hub("cspdarknet")
def cspdarknet(models):
    return classified(models.CSPNetBackbone(
        stem_filters=8, stem_kernel_size=3, stem_strides=1, stackwise_depth=[1, 2], stackwise_strides=[2, 2],
        stackwise_num_filters=[16, 24], block_type="dark_block", stage_type="csp", bottle_ratio=[0.5],
        block_ratio=[1.0], expand_ratio=[2.0], activation="silu", image_shape=(32, 32, 3),
    ))  # fmt: skip


@hub("xception")
def xception(models):
    return classified(models.XceptionBackbone(
        stackwise_conv_filters=[[8, 12], [16, 16], [24, 24]], stackwise_pooling=[False, True, False],
        image_shape=(32, 32, 3),
    ))  # fmt: skip


@hub("efficientnet")
def efficientnet(models):
    return classified(models.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0] * 3, stackwise_depth_coefficients=[1.0] * 3,
        stackwise_kernel_sizes=[3, 3, 5],
        stackwise_num_repeats=[1, 1, 1], stackwise_input_filters=[16, 16, 16], stackwise_output_filters=[16, 16, 24],
        stackwise_expansion_ratios=[1, 4, 4], stackwise_strides=[1, 2, 1], stackwise_block_types=["v1"] * 3,
        stackwise_squeeze_and_excite_ratios=[0.25] * 3, num_features=32, input_shape=(32, 32, 3),
    ))  # fmt: skip


@hub("efficientnet_v2")
def efficientnet_v2(models):
    return classified(models.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0] * 3, stackwise_depth_coefficients=[1.0] * 3,
        stackwise_kernel_sizes=[3, 3, 3],
        stackwise_num_repeats=[1, 1, 1], stackwise_input_filters=[16, 16, 16], stackwise_output_filters=[16, 16, 24],
        stackwise_expansion_ratios=[1, 4, 4], stackwise_strides=[1, 2, 2],
        stackwise_block_types=["fused", "fused", "unfused"], stackwise_squeeze_and_excite_ratios=[0, 0, 0.25],
        num_features=32, input_shape=(32, 32, 3),
    ))  # fmt: skip


@hub("mobilenet_v3")
def mobilenet_v3(models):
    return classified(models.MobileNetBackbone(
        stackwise_expansion=[[16], [32, 48]], stackwise_num_blocks=[1, 2], stackwise_num_filters=[[16], [16, 24]],
        stackwise_kernel_size=[[3], [5, 5]], stackwise_num_strides=[[2], [2, 1]],
        stackwise_se_ratio=[[None], [0.25, 0.25]],
        stackwise_activation=[["relu"], ["hard_swish", "hard_swish"]], stackwise_padding=[[1], [2, 2]],
        output_num_filters=32, depthwise_filters=8, depthwise_stride=2, depthwise_residual=False, last_layer_filter=32,
        squeeze_and_excite=0.5, input_num_filters=16, image_shape=(32, 32, 3),
    ))  # fmt: skip


@hub("mobilenet_v4")
def mobilenet_v4(models):
    return classified(models.MobileNetBackbone(
        stackwise_expansion=[[16], [32, 32]], stackwise_num_blocks=[1, 2], stackwise_num_filters=[[16], [16, 16]],
        stackwise_kernel_size=[[3], [3, 3]], stackwise_num_strides=[[2], [1, 1]],
        stackwise_se_ratio=[[None], [None, None]],
        stackwise_activation=[["relu"], ["relu", "relu"]], stackwise_padding=[[1], [1, 1]],
        output_num_filters=32, depthwise_filters=16, depthwise_stride=1, depthwise_residual=True, last_layer_filter=32,
        input_num_filters=16, input_activation="relu", output_activation="relu", image_shape=(32, 32, 3),
    ))  # fmt: skip


@hub("mobilenet_v5")
def mobilenet_v5(models):
    """Edge residual, universal inverted bottleneck and multi-query attention blocks."""
    none = [[0], [0, 0]]
    return classified(models.MobileNetV5Backbone(
        stackwise_block_types=[["er"], ["uir", "mqa"]], stackwise_num_blocks=[1, 2],
        stackwise_num_filters=[[16], [24, 24]], stackwise_strides=[[2], [2, 1]],
        stackwise_act_layers=[["gelu"], ["gelu", "gelu"]], stackwise_exp_ratios=[[2.0], [2.0, 1.0]],
        stackwise_se_ratios=[[0.0], [0.0, 0.0]], stackwise_dw_kernel_sizes=[[0], [3, 0]],
        stackwise_dw_start_kernel_sizes=[[0], [3, 0]], stackwise_dw_end_kernel_sizes=none,
        stackwise_exp_kernel_sizes=[[3], [0, 0]], stackwise_pw_kernel_sizes=[[1], [0, 0]],
        stackwise_num_heads=[[0], [0, 2]], stackwise_key_dims=[[0], [0, 8]], stackwise_value_dims=[[0], [0, 8]],
        stackwise_kv_strides=[[0], [0, 1]], stackwise_use_cpe=[[False], [False, False]], use_msfa=False, stem_size=16,
        layer_scale_init_value=0.1, image_shape=(32, 32, 3),
    ))  # fmt: skip


def _hgnet(models, **options):
    return models.HGNetV2Backbone(
        depths=[1, 1], embedding_size=16, hidden_sizes=[24, 32], stem_channels=[3, 8, 16], hidden_act="relu",
        stackwise_stage_filters=[(16, 8, 24, 1, 2, 3), (24, 8, 32, 1, 2, 5)], apply_downsample=[False, True],
        use_lightweight_conv_block=[False, True], image_shape=(32, 32, 3), **options,
    )  # fmt: skip


@hub("hgnet_v2")
def hgnet_v2(models):
    return classified(_hgnet(models, use_learnable_affine_block=False))


@hub("hgnet_v2_affine")
def hgnet_v2_affine(models):
    return classified(_hgnet(models, use_learnable_affine_block=True))


def _pyramid(models, side, strides=(1, 2)):
    return models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64] + [16] * (len(strides) - 1),
        stackwise_num_blocks=[1] * len(strides), stackwise_num_strides=list(strides), block_type="basic_block",
        image_shape=(side, side, 3),
    )  # fmt: skip


@hub("deeplab_v3_plus")
def deeplab_v3_plus(models):
    backbone = models.DeepLabV3Backbone(
        image_encoder=_pyramid(models, 32), projection_filters=8, low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P3", upsampling_size=2, dilation_rates=[2, 4], image_shape=(32, 32, 3),
    )  # fmt: skip
    return keras.Model(backbone.input, L.Conv2D(4, 1)(backbone.output))


@hub("retinanet", side=64)
def retinanet(models):
    """Feature pyramid and the two heads, of which the widths are fixed."""
    backbone = models.RetinaNetBackbone(
        image_encoder=_pyramid(models, 64, (1, 2, 2, 2)), min_level=3, max_level=4, use_p5=False,
        image_shape=(64, 64, 3),
    )  # fmt: skip
    outputs = backbone.output
    boxes = L.Conv2D(4, 3, padding="same", name="boxes")(outputs["P3"])
    scores = L.Conv2D(5, 3, padding="same", activation="sigmoid", name="scores")(outputs["P4"])
    return keras.Model(backbone.input, [boxes, scores])
