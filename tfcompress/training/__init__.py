"""Runs a recipe during training: the plan, the callback, the session."""
