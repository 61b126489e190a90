"""The subcommands: every file of this folder that has a `COMMAND` is one."""

import importlib
import pkgutil

from tfcompress.cli.command import Command


def found_commands() -> dict[str, Command]:
    """Finds the subcommands in the files of this folder.

    Returns:
        Command by name, in the order of the overview.
    """
    modules = [importlib.import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    found = [module.COMMAND for module in modules if hasattr(module, "COMMAND")]
    return {command.name: command for command in sorted(found, key=lambda c: (c.place, c.name))}
