"""Fake quantization: weight transforms and activation ranges laid over a live model's operations."""
