"""Recipes meet `fit`: the plan, the one callback, the session."""
