"""Converts a model to a `.tflite` artifact and compares the file with the model on representative samples."""
