"""Exports a model to the bytes of a `.tflite` file: checks, simulation, TensorFlow's converter, verification."""
