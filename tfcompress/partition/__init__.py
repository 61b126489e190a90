"""Partition of a model: steps, parts and where to cut."""
