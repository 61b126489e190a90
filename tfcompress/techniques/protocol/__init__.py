"""Shared parts of techniques: values that hooks take and return, the timing of schedules, graph techniques."""
