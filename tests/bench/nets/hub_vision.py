"""Transformers for pictures of KerasHub, in sizes of a toy."""

import keras
from keras import layers as L

from nets.common import pooled
from nets.hub_conv import classified, hub

SIZE = dict(num_layers=1, num_heads=2, hidden_dim=32)  # kernels below 1024 elements stay float in dynamic-range files


@hub("vit")
def vit(models):
    backbone = models.ViTBackbone(image_shape=(32, 32, 3), patch_size=8, mlp_dim=64, **SIZE)
    return keras.Model(backbone.input, L.Dense(5)(backbone.output[:, 0]))


@hub("deit")
def deit(models):
    backbone = models.DeiTBackbone(image_shape=(32, 32, 3), patch_size=8, intermediate_dim=64, **SIZE)
    return keras.Model(backbone.input, L.Dense(5)((backbone.output[:, 0] + backbone.output[:, 1]) / 2))


def _dinov2(models, layers=1, **options):
    return models.DINOV2Backbone(
        patch_size=8, num_layers=layers, num_heads=2, hidden_dim=32, intermediate_dim=64, image_shape=(32, 32, 3),
        position_embedding_shape=(32, 32, 3), **options,
    )  # fmt: skip


def called(backbone, side=32):
    """A backbone called on pictures of a fixed size: their input, and what it returns."""
    i = keras.Input((side, side, 3), name="images")
    return i, backbone({next(iter(backbone.input)): i} if isinstance(backbone.input, dict) else i)


def _tokens_classified(backbone):
    """A model from pictures to a classifier over the mean of the tokens, or over the pooled output."""
    i, h = called(backbone)
    return keras.Model(i, pooled(h) if len(h.shape) == 3 else L.Dense(5)(h))


@hub("dinov2")
def dinov2(models):
    return _tokens_classified(_dinov2(models, num_register_tokens=2))


@hub("dinov2_swiglu")
def dinov2_swiglu(models):
    return _tokens_classified(_dinov2(models, use_swiglu_ffn=True, layer_scale_init_value=0.1))


@hub("dinov2_interpolated")
def dinov2_interpolated(models):
    """Positions of a larger picture, interpolated to this one."""
    return _tokens_classified(models.DINOV2Backbone(
        patch_size=8, intermediate_dim=64, image_shape=(32, 32, 3), position_embedding_shape=(48, 48, 3), **SIZE
    ))  # fmt: skip


@hub("dinov3")
def dinov3(models):
    return _tokens_classified(models.DINOV3Backbone(patch_size=8, intermediate_dim=64, image_shape=(32, 32, 3), **SIZE))


@hub("swin")
def swin(models):
    """Windows of 4 x 4 patches, shifted in the second layer."""
    backbone = models.SwinTransformerBackbone(
        image_shape=(32, 32, 3), embed_dim=16, depths=[2, 1], num_heads=[2, 2], window_size=4, patch_size=4
    )
    return keras.Model(backbone.input, pooled(backbone.output))


def _mit(models):
    return models.MiTBackbone(
        layerwise_depths=[1, 1], num_layers=2, layerwise_num_heads=[1, 2], layerwise_sr_ratios=[2, 1],
        max_drop_path_rate=0.1, layerwise_patch_sizes=[7, 3], layerwise_strides=[4, 2], hidden_dims=[16, 24],
        image_shape=(32, 32, 3),
    )  # fmt: skip


@hub("mit")
def mit(models):
    return classified(_mit(models))


@hub("segformer")
def segformer(models):
    encoder = models.MiTBackbone(
        layerwise_depths=[1] * 4, num_layers=4, layerwise_num_heads=[1, 1, 2, 2], layerwise_sr_ratios=[4, 2, 1, 1],
        max_drop_path_rate=0.1, layerwise_patch_sizes=[7, 3, 3, 3], layerwise_strides=[4, 2, 2, 1],
        hidden_dims=[8, 12, 16, 24], image_shape=(32, 32, 3),
    )  # fmt: skip
    backbone = models.SegFormerBackbone(image_encoder=encoder, projection_filters=16)
    return keras.Model(backbone.input, L.Conv2D(4, 1)(backbone.output))


@hub("sam_encoder")
def sam_encoder(models):
    """ViTDet: one layer of windows and one of global attention, both with relative positions."""
    return models.ViTDetBackbone(
        hidden_size=16, num_layers=2, intermediate_dim=32, num_heads=2, global_attention_layer_indices=[1],
        image_shape=(32, 32, 3), patch_size=4, num_output_channels=8, window_size=3,
    )  # fmt: skip


@hub("clip_vision")
def clip_vision(models):
    from keras_hub.src.models.clip.clip_vision_encoder import CLIPVisionEncoder

    return _tokens_classified(CLIPVisionEncoder(patch_size=8, intermediate_dim=64, image_shape=(32, 32, 3), **SIZE))


@hub("siglip_vision")
def siglip_vision(models):
    from keras_hub.src.models.siglip.siglip_vision_encoder import SigLIPVisionEncoder

    return _tokens_classified(SigLIPVisionEncoder(patch_size=8, intermediate_dim=64, image_shape=(32, 32, 3), **SIZE))


@hub("depth_anything")
def depth_anything(models):
    """DINOv2 with four levels, a neck that resizes and fuses them, and the head of depths."""
    encoder = models.DINOV2Backbone(
        patch_size=4, num_layers=4, num_heads=2, hidden_dim=16, intermediate_dim=32, image_shape=(32, 32, 3),
        position_embedding_shape=(32, 32, 3), apply_layernorm=True,
    )  # fmt: skip
    return keras.Model(*called(models.DepthAnythingBackbone(
        image_encoder=encoder, reassemble_factors=[4, 2, 1, 0.5], neck_hidden_dims=[8, 8, 16, 16],
        fusion_hidden_dim=16, head_hidden_dim=8, head_in_index=-1,
        feature_keys=["stage1", "stage2", "stage3", "stage4"],
    )))  # fmt: skip


@hub("d_fine", side=64)
def d_fine(models):
    """HGNetV2, the hybrid encoder and a decoder of one layer, in which every anchor is a query.

    Returned is the mean of the logits over the queries: near ties change their order, which is no error of a file, and
    the boxes of an untrained head do not move.
    """
    encoder = models.HGNetV2Backbone(
        depths=[1, 1], embedding_size=8, hidden_sizes=[16, 24], stem_channels=[3, 8, 8], hidden_act="relu",
        stackwise_stage_filters=[[8, 8, 16, 1, 2, 3], [16, 8, 24, 1, 2, 3]], apply_downsample=[True, True],
        use_lightweight_conv_block=[False, False], use_learnable_affine_block=True, image_shape=(64, 64, 3),
        out_features=["stage1", "stage2"],
    )  # fmt: skip
    backbone = models.DFineBackbone(
        backbone=encoder, decoder_in_channels=[16, 16], encoder_hidden_dim=16, num_labels=4, num_denoising=0,
        learn_initial_query=False, num_queries=80, anchor_image_size=(64, 64), feat_strides=[8, 16],
        num_feature_levels=2, hidden_dim=16, encoder_in_channels=[16, 24], encode_proj_layers=[1],
        num_attention_heads=2, encoder_ffn_dim=32, num_encoder_layers=1, hidden_expansion=0.5, depth_multiplier=0.5,
        eval_idx=-1, num_decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32, decoder_n_points=[2, 2],
        lqe_hidden_dim=8, num_lqe_layers=2, out_features=["stage1", "stage2"], image_shape=(64, 64, 3), seed=0,
    )  # fmt: skip
    i, outputs = called(backbone, 64)
    return keras.Model(i, keras.ops.mean(outputs["intermediate_logits"][:, -1], axis=1))
