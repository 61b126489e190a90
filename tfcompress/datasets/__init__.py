"""Data sets for the demo, the notebook and tests: MNIST, Fashion-MNIST, digits drawn with Pillow.

Example:
    ```python
    from tfcompress.datasets import load_mnist

    digits = load_mnist()
    ```
"""

from tfcompress.datasets.drawn import draw_digits
from tfcompress.datasets.mnist import Digits, load_fashion_mnist, load_mnist

__all__ = ["Digits", "draw_digits", "load_fashion_mnist", "load_mnist"]
