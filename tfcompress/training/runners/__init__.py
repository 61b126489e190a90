"""Runs the steps of a training under a compression: Keras' `fit`, or a user's own loop."""
