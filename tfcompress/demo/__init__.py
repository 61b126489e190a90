"""The command `tfcompress demo`: MNIST, from a float teacher to proven integer files."""
