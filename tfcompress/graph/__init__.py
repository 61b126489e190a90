"""The graph of a live Keras model: operations and tensors, tracing, cloning, and what user code reads and draws."""
