"""Old name of `tfcompress.datasets`, from release 0.1."""

from tfcompress.datasets import Digits, load_fashion_mnist, load_mnist

__all__ = ["Digits", "load_fashion_mnist", "load_mnist"]
