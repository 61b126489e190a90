"""Text and audio models of KerasHub, in sizes of a toy: inputs of one length, a padding mask where one is taken."""

import keras

from nets.common import net, padding, sequences, tokens

STEPS, WORDS = 16, 60
# A width of 32: dynamic-range files leave kernels below 1024 elements in float.
SIZE = dict(vocabulary_size=WORDS, num_layers=1, num_heads=2, hidden_dim=32, intermediate_dim=64)
GROUPED = dict(
    vocabulary_size=WORDS, num_layers=1, num_query_heads=4, num_key_value_heads=2, hidden_dim=32, intermediate_dim=64
)


def text(name):
    """Registers a text model: the backbone that a function builds, called on inputs of a fixed length."""

    def register(build):
        def make(rng):
            import keras_hub.models

            backbone = build(keras_hub.models)
            names = list(backbone.input) if isinstance(backbone.input, dict) else None
            inputs = {n: keras.Input((STEPS,), dtype="int32", name=n) for n in names or ["token_ids"]}
            output = backbone(inputs if names else inputs["token_ids"])
            if isinstance(output, dict):
                output = output.get("sequence_output", output.get("encoder_sequence_output"))
            x = {"token_ids": tokens(rng, STEPS, WORDS)}
            if "padding_mask" in inputs:
                x["padding_mask"] = padding(rng, STEPS)
            if "segment_ids" in inputs:
                x["segment_ids"] = (x["token_ids"] > WORDS // 2).astype("int32")
            return keras.Model(inputs, output), x

        make.__name__ = f"hub_{name}"
        net(make)
        return build

    return register


text("bert")(lambda models: models.BertBackbone(max_sequence_length=STEPS, **SIZE))
text("distilbert")(lambda models: models.DistilBertBackbone(max_sequence_length=STEPS, **SIZE))
text("roberta")(lambda models: models.RobertaBackbone(max_sequence_length=STEPS, **SIZE))
text("deberta_v3")(lambda models: models.DebertaV3Backbone(max_sequence_length=STEPS, bucket_size=8, **SIZE))
text("fnet")(lambda models: models.FNetBackbone(
    vocabulary_size=WORDS, num_layers=1, hidden_dim=32, intermediate_dim=64, max_sequence_length=STEPS
))  # fmt: skip
text("albert")(lambda models: models.AlbertBackbone(embedding_dim=16, max_sequence_length=STEPS, **SIZE))
text("electra")(lambda models: models.ElectraBackbone(
    vocab_size=WORDS, num_layers=1, num_heads=2, hidden_dim=32, embedding_dim=16, intermediate_dim=64,
    max_sequence_length=STEPS,
))  # fmt: skip
text("gpt2")(lambda models: models.GPT2Backbone(max_sequence_length=STEPS, **SIZE))
text("llama3")(lambda models: models.Llama3Backbone(**GROUPED))
text("qwen3")(lambda models: models.Qwen3Backbone(head_dim=8, **GROUPED))
text("gemma3")(lambda models: models.Gemma3Backbone(
    image_size=32, head_dim=8, use_post_ffw_norm=True, use_post_attention_norm=True,
    use_sliding_window_attention=True, sliding_window_size=4, **GROUPED,
))  # fmt: skip


@text("clip_text")
def clip_text(models):
    from keras_hub.src.models.clip.clip_text_encoder import CLIPTextEncoder

    return CLIPTextEncoder(embedding_dim=32, max_sequence_length=STEPS, **SIZE)


@net
def hub_bert_classifier(rng):
    """The task, not the backbone: the first token through a pooler and dropout."""
    import keras_hub.models

    backbone = keras_hub.models.BertBackbone(max_sequence_length=STEPS, **SIZE)
    task = keras_hub.models.BertTextClassifier(backbone=backbone, num_classes=3)
    inputs = {n: keras.Input((STEPS,), dtype="int32", name=n) for n in task.input}
    x = {"token_ids": tokens(rng, STEPS, WORDS), "padding_mask": padding(rng, STEPS)}
    return keras.Model(inputs, task(inputs)), x | {"segment_ids": x["token_ids"] % 2}


@net
def hub_t5_encoder(rng):
    """The encoder half, with relative positions and gated feed-forward layers."""
    import keras_hub.models

    backbone = keras_hub.models.T5Backbone(**SIZE)
    taken = ["encoder_token_ids", "encoder_padding_mask"]
    half = keras.Model({n: backbone.input[n] for n in taken}, backbone.output["encoder_sequence_output"])
    inputs = {n: keras.Input((STEPS,), dtype="int32", name=n) for n in taken}
    x = {taken[0]: tokens(rng, STEPS, WORDS), taken[1]: padding(rng, STEPS)}
    return keras.Model(inputs, half(inputs)), x


@net
def hub_whisper_encoder(rng):
    """Spectrogram in, the encoder's states out."""
    import keras_hub.models

    backbone = keras_hub.models.WhisperBackbone(
        num_mels=12, max_encoder_sequence_length=32, max_decoder_sequence_length=STEPS, **SIZE
    )
    half = keras.Model(backbone.input["encoder_features"], backbone.output["encoder_sequence_output"])
    i = keras.Input((32, 12), name="encoder_features")
    return keras.Model(i, half(i)), sequences(rng, 32, 12)


@net
def hub_moonshine_encoder(rng):
    """Raw audio in, the encoder's states out: about 8 of them."""
    import keras_hub.models

    backbone = keras_hub.models.MoonshineBackbone(
        vocabulary_size=WORDS, filter_dim=32, encoder_num_layers=1, decoder_num_layers=1, hidden_dim=32,
        intermediate_dim=64, encoder_num_heads=2, decoder_num_heads=2,
    )  # fmt: skip
    taken = ["encoder_input_values", "encoder_padding_mask"]
    half = keras.Model({n: backbone.input[n] for n in taken}, backbone.output["encoder_sequence_output"])
    steps = 4096
    inputs = {taken[0]: keras.Input((steps, 1), name=taken[0])}
    inputs[taken[1]] = keras.Input((steps,), dtype="bool", name=taken[1])
    wave = rng.normal(size=(24, steps, 1)).cumsum(axis=1)
    wave = (wave / abs(wave).max(axis=1, keepdims=True)).astype("float32")
    return keras.Model(inputs, half(inputs)), {taken[0]: wave, taken[1]: padding(rng, steps).astype(bool)}
