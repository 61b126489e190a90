"""Checks what users and files say: arguments, stored configurations, strict JSON."""
