"""Finds similar channels by their weights or their activations, and merges them."""
