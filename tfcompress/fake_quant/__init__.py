"""Fake quantization: weight transforms and activation ranges, applied to the operations of a live model."""
