"""The command `tfcompress demo`: MNIST, from a float teacher to integer files that agree with the trained model."""
