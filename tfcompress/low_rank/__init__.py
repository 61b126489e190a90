"""Low-rank factorization: layers as several thinner ones."""
