"""Similar channels: found by weights or on data, and merged."""
