"""Drift monitoring: the app's log of its own use against references of the training data."""
