"""Writes reports: sections of plain data, shown as text or as one HTML page with charts."""
