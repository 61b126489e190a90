"""Checks for techniques, transforms, layers and criteria of your own.

Each function checks on one of your classes what holds for all classes of the library, and raises an `AssertionError`
that says what does not hold. They need no test framework; call them in a test of any kind, or at a prompt.
"""

from tfcompress.testing.criterion import check_criterion
from tfcompress.testing.layer import check_layer
from tfcompress.testing.technique import check_technique
from tfcompress.testing.transform import check_transform

__all__ = ["check_criterion", "check_layer", "check_technique", "check_transform"]
