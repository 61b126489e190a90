"""The table of layer types: axes of weights, how channels travel, where the int8 scale of the output comes from."""
