"""Drift monitoring: compares the app's log of its own use with references of the training data."""
