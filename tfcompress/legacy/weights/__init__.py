"""Reads stored weights of Keras 2 and assigns them to ported layers."""
