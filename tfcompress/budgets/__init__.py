"""Budgets: measure the cost of a model, and choose the channels or layers to remove for a target."""
