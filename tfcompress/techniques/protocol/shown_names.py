"""What `help` and `dir` show of a technique: its settings and what its users call, not the hooks of a training."""

import dataclasses
from collections.abc import Iterable


class TechniqueType(type):
    """Metaclass of techniques. A class with `hooks_are_shown` in its own body, a base for authors, shows everything.

    Python's `help` lists what `dir` lists. The hooks that a technique overrides are documented where they are declared,
    on the base class; in a technique's own help they would bury its settings.
    """

    def __dir__(cls) -> Iterable[str]:
        """Names of the class without hooks, capabilities and what `dataclass` adds."""
        names = super().__dir__()
        if "hooks_are_shown" in vars(cls):
            return names
        bases = [base for base in cls.__mro__ if "hooks_are_shown" in vars(base)]
        used = {name for base in bases for name in vars(base)["for_users"]}
        if dataclasses.is_dataclass(cls):
            used |= {field.name for field in dataclasses.fields(cls)}
        hidden = {name for base in bases for name in vars(base)} - used
        return [n for n in names if n not in hidden and (n == "__init__" or not n.startswith("__"))]
