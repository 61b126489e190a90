"""The layers and calls of a Keras 2 configuration, made again with Keras 3."""
