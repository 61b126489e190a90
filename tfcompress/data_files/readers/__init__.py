"""The kinds of data files: every file of this folder that has a `READER` is one."""

import importlib
import pkgutil

from tfcompress.data_files.reader import Reader


def found_readers() -> list[Reader]:
    """Finds the readers in the files of this folder.

    Returns:
        The table of readers, in the order of their files' names.
    """
    modules = [importlib.import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    return [module.READER for module in modules if hasattr(module, "READER")]
