"""Rewrites of a model's graph that keep its answers: folding, equalization, merging, branches left out."""
