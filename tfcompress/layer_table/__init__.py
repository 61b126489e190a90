"""The table of layer types: what each weight's axes mean, how channels travel, how int8 sees the output."""
