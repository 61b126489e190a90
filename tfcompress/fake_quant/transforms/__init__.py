"""Transforms, functions from a tensor to a tensor of the same shape: masks, centroids, grids, activation ranges."""
