"""Registers the package's classes with Keras before a file that names them is read.

A recipe, a session's model or a ported model names its classes, and Keras finds a class only once its module is
imported. `import tfcompress` imports none of them, so code that reads a file calls `register_classes` first.
"""

import functools
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from typing import Any

_PACKAGE = __name__.split(".")[0]
_MARK = "@keras.saving.register_keras_serializable("


@functools.cache
def register_classes() -> None:
    """Imports every module of the package whose source registers a class with Keras.

    Example:
        >>> import keras
        >>> register_classes()
        >>> keras.saving.get_registered_object("tfcompress>ChannelMask").__name__
        'ChannelMask'
    """
    for spec in _modules(importlib.import_module(_PACKAGE).__path__, f"{_PACKAGE}."):
        loader: Any = spec.loader
        source = loader.get_source(spec.name)
        if source is None or _MARK in source:  # a package shipped without sources is imported whole
            importlib.import_module(spec.name)


def _modules(paths: Iterable[str], prefix: str) -> Iterator[ModuleSpec]:
    """Yields the modules below a package without importing them."""
    for found in pkgutil.iter_modules(paths, prefix):
        spec = found.module_finder.find_spec(found.name, None)
        if found.ispkg:
            yield from _modules(spec.submodule_search_locations, f"{found.name}.")
        else:
            yield spec
