"""Writes lines for people: logging and progress, tables, text of foreign files without control characters."""
