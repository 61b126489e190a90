"""Rewrites of a model's graph: folding, equalization and merging, which keep its outputs, and removal of branches."""
