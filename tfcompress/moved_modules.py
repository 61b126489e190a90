"""Finds modules under their names of release 0.1, which pickles and code written for that release contain.

`moved_modules.json` maps each old name to the module of today. An old folder that is gone becomes an empty package.
"""

import functools
import importlib
import importlib.abc
import importlib.machinery
import json
import pathlib
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_PACKAGE = __name__.rpartition(".")[0]


@functools.cache
def today_by_first_name() -> dict[str, str]:
    """Full names of modules of release 0.1 that were moved -> their full names of today."""
    text = pathlib.Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
    return {f"{_PACKAGE}.{old}": f"{_PACKAGE}.{now}" for old, now in json.loads(text).items()}


class _Moved(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module by its old name, after all other finders have failed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns a spec for a module that was moved, or for a folder that held some."""
        if not fullname.startswith(f"{_PACKAGE}."):
            return None  # the table is read at the first import that fails, not whenever the package is imported
        if fullname in today_by_first_name():
            return importlib.machinery.ModuleSpec(fullname, self)
        if any(old.startswith(f"{fullname}.") for old in today_by_first_name()):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def exec_module(self, module: Any) -> None:
        """Replaces the module under its old name by the module of today."""
        name = module.__name__
        if name in today_by_first_name():
            warnings.warn(f"{name} is {today_by_first_name()[name]} now.", DeprecationWarning, stacklevel=2)
            sys.modules[name] = importlib.import_module(today_by_first_name()[name])


def install() -> None:
    """Installs the finder of old names; called once, when the package is imported."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
