"""Reads, runs, describes, edits and stores `.tflite` files."""
