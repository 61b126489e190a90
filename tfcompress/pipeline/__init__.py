"""Pipelines: parts of a network as several files that answer together as one model."""
