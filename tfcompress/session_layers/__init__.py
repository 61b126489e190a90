"""Wrapper layers: a layer with its transforms and ranges around it, saved and loaded by Keras."""
