"""Checks input from users and files: arguments, stored configurations, JSON."""
