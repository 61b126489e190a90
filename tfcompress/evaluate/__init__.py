"""Measures accuracy, sizes, MACs and kernels of models and files, side by side."""
