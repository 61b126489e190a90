"""Tensor to tensor of the same shape, with state: masks, centroids, grids, activation ranges."""
