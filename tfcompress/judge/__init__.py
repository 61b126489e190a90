"""Measures and compares artifacts: latency, memory, MACs, accuracy, reports."""
