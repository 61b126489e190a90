"""Budgets: what a model costs, and which channels or layers to give up for a target."""
