"""Data sets for the demo, notebooks and tests: MNIST, Fashion-MNIST, CIFAR-10, digits drawn with Pillow.

Example:
    ```python
    from tfcompress.datasets import load_mnist

    digits = load_mnist()
    ```
"""

from tfcompress.datasets.cifar import Pictures, load_cifar10
from tfcompress.datasets.drawn import draw_digits
from tfcompress.datasets.mnist import Digits, load_fashion_mnist, load_mnist

__all__ = ["Digits", "Pictures", "draw_digits", "load_cifar10", "load_fashion_mnist", "load_mnist"]
