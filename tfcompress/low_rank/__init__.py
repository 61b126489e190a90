"""Low-rank factorization: replaces layers by several with smaller kernels."""
