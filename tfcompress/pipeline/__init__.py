"""Pipelines: several files, each a part of a network, that run one after the other as one model."""
