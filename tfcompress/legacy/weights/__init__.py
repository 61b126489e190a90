"""Stored weights of Keras 2, brought to the layers they belong to."""
