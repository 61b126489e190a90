"""Weight sparsity: criteria that score weights, patterns that say which zeros may stand where."""
