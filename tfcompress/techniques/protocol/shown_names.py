"""Hides hooks from `help` and `dir` of a technique, so that they show its settings and the methods that users call."""

import dataclasses
from collections.abc import Iterable


class TechniqueType(type):
    """Metaclass of techniques that hides hooks from `dir`, except on base classes for authors.

    Such a base class has `hooks_are_shown` in its own body and shows everything.

    Python's `help` lists what `dir` lists. The hooks that a technique overrides are documented where they are declared,
    on the base class; in a technique's own help they would bury its settings.
    """

    def __dir__(cls) -> Iterable[str]:
        """Lists the names of the class without hooks, capabilities and methods that `dataclass` adds."""
        names = super().__dir__()
        if "hooks_are_shown" in vars(cls):
            return names
        bases = [base for base in cls.__mro__ if "hooks_are_shown" in vars(base)]
        used = {name for base in bases for name in vars(base)["for_users"]}
        if dataclasses.is_dataclass(cls):
            used |= {field.name for field in dataclasses.fields(cls)}
        hidden = {name for base in bases for name in vars(base)} - used
        return [n for n in names if n not in hidden and (n == "__init__" or not n.startswith("__"))]
