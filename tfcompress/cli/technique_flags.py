"""Makes the flags of `tfcompress compress` from the fields of the techniques, and the techniques from the flags.

`--prune=0.8` is `tfc.Prune(0.8)`: the flag of a technique sets its first field, and `--prune_scope=global` another one.
A public technique has its flags by being there.
"""

import itertools
import re
from typing import Any

from absl import flags

from tfcompress.cli.flag_values import Call, accepted, read_value
from tfcompress.cli.technique_fields import SHARED, Field, TechniqueFields, read_techniques

_SHARED_TITLE = "Layers, for each technique"
_SHARED_TEXT = {
    "where": "Layers to treat: names, patterns or types, such as conv.*,Dense; or Where(skip='head', min_size=1000).",
    "overrides": "Other values of its first setting by layer: head:none leaves a layer alone, Dense:0.5.",
}
_SWITCH = "Puts it into the recipe, as any flag of it does."
_count = itertools.count(1)


class TechniqueFlag(flags.Flag):
    """A flag of a technique.

    Attributes:
        group: Heading in the help.
        title: How it is shown there.
        is_shared: Whether each technique has one like it; these come last.
        field: The field that it sets; "" for a switch of the technique itself.
        place: Where it stood among the flags given.
        given: The text that it was given.
    """

    def __init__(self, technique: TechniqueFields, field: Field | None, name: str, short: str | None, parser: Any):
        self.technique, self.field = technique, field.name if field is not None else ""
        self.place, self.given = 0, None
        self.is_shared = self.field in SHARED
        self.group = _SHARED_TITLE if self.is_shared else f"{technique.name}: {technique.summary}"
        text = _SWITCH if field is None else _SHARED_TEXT.get(self.field, field.text)
        boolean = isinstance(parser, flags.BooleanParser)
        super().__init__(parser, None, name, None, text, short_name=short, boolean=boolean)
        self.title = _title(self, field)

    def parse(self, argument: Any) -> None:
        """Reads the text, and notes that it came after those before it."""
        super().parse(argument)
        self.place, self.given = next(_count), argument

    def serialize(self) -> str:
        """The flag as it was given."""
        return f"--{'' if self.value else 'no'}{self.name}" if self.boolean else f"--{self.name}={self.given}"


def _title(flag: TechniqueFlag, field: Field | None) -> str:
    names = f"--{flag.short_name}, --{flag.name}" if flag.short_name else f"--{flag.name}"
    if flag.boolean:
        return names.replace("--", "--[no]") + (" (on)" if field is not None and field.default else "")
    if field is None or field.default in (None, ()):
        return f"{names}=<{accepted(field.kind) if field is not None else ''}>"
    return f"{names}={field.default}"


class _Reader(flags.ArgumentParser):
    """Reads values of one type."""

    def __init__(self, kind: str):
        self.kind = kind
        self.syntactic_help = f"a value of type {kind}"

    def parse(self, argument: Any) -> Any:
        return argument if not isinstance(argument, str) else read_value(argument, self.kind)

    def flag_type(self) -> str:
        return accepted(self.kind)


def flag_name(technique: str) -> str:
    """Returns the name of the flag of a technique.

    Example:
        >>> flag_name("PruneChannels")
        'prune_channels'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", technique).lower()


def define_techniques(values: flags.FlagValues) -> None:
    """Defines the flags of all public techniques.

    Args:
        values: Flags to add them to.
    """
    for technique in read_techniques().values():
        base = flag_name(technique.name)
        is_switch = _is_switch(technique)
        if is_switch:
            _define(values, TechniqueFlag(technique, None, base, None, flags.BooleanParser()))
        for number, field in enumerate(technique.fields):
            short = base if number == 0 and not is_switch else None
            kind = f"{field.kind} | None" if short else field.kind  # "none" leaves the technique out
            parser = flags.BooleanParser() if kind == "bool" else _Reader(kind)
            _define(values, TechniqueFlag(technique, field, f"{base}_{field.name}", short, parser))


def _define(values: flags.FlagValues, flag: TechniqueFlag) -> None:
    flags.DEFINE_flag(flag, values)


def _is_switch(technique: TechniqueFields) -> bool:
    """Returns whether a technique is switched on by its flag alone, since it has no first setting that would do it."""
    first = technique.fields[0]
    return first.kind == "bool" or first.name in SHARED


def given_flags(values: flags.FlagValues) -> list[TechniqueFlag]:
    """Returns the flags of techniques that were given, in their order."""
    every = {id(values[name]): values[name] for name in values}.values()
    return sorted((f for f in every if isinstance(f, TechniqueFlag) and f.present), key=lambda f: f.place)


def given_techniques(values: flags.FlagValues) -> dict[str, dict[str, Any]]:
    """Returns the techniques that the flags ask for, in the order of the flags.

    A technique whose own flag is "none" (a switch: off) is left out.

    Args:
        values: The command's flags.

    Returns:
        Value by field, by name of the technique.
    """
    found: dict[str, dict[str, Any]] = {}
    without = set()
    for flag in given_flags(values):
        fields = found.setdefault(flag.technique.name, {})
        is_own = flag.short_name is not None or not flag.field
        if is_own and (flag.value is None or flag.value is False):
            without.add(flag.technique.name)
        elif flag.field:
            fields[flag.field] = flag.value
    return {name: fields for name, fields in found.items() if name not in without}


def make_technique(name: str, fields: dict[str, Any]) -> Any:
    """Makes a technique of values that were read.

    Args:
        name: Name of its class.
        fields: Value by field.

    Returns:
        The technique.

    Raises:
        TypeError: If a value is of a wrong kind.
        ValueError: If a value is not accepted.
    """
    import tfcompress as tfc

    return getattr(tfc, name)(**{key: _made(value) for key, value in fields.items()})


def _made(value: Any) -> Any:
    if isinstance(value, Call):
        return value.made()
    if isinstance(value, dict):
        return {key: _made(each) for key, each in value.items()}
    return value
