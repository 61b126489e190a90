"""Flat models: the layers whose code is not in the layer table replaced by the layers and operations inside of them."""
