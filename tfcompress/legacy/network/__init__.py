"""Rebuilds a model from its Keras 2 configuration, layer by layer and call by call, with Keras 3."""
