"""Weight sparsity: criteria score weights, and patterns decide where zeros may be."""
