"""The graph of a live Keras model: its operations, who feeds whom, cloning, what user code does inside."""
