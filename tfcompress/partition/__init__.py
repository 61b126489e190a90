"""Partition: cuts a model into parts that together give its outputs, and decides where to cut."""
