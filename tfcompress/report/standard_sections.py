"""The standard sections of a report, in reading order, for `tfcompress demo`, `compress` and `report`.

To add a section, write one function here with `@_section`; it adds nothing where the contents have nothing to show.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tfcompress.evaluate.compare import Comparison
from tfcompress.report import charts
from tfcompress.report.report import Report
from tfcompress.report.standard.answers import Shown, add_answers
from tfcompress.report.standard.comparison import add_comparison, facts_of
from tfcompress.report.standard.file import add_fidelity, add_file, add_parity, add_recipe, add_shape_changes
from tfcompress.report.standard.provenance import add_provenance
from tfcompress.tflite.artifact import Artifact


@dataclass(frozen=True)
class Curves:
    """Values after each epoch.

    Attributes:
        title: Heading.
        lines: Values by name of the line.
        note: Caption; may be empty.
        log: Whether the axis is logarithmic.
    """

    title: str
    lines: Mapping[str, Sequence[float]]
    note: str = ""
    log: bool = False


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The contents of a report; sections without contents are left out.

    Attributes:
        facts: Figures at the top: name to figure, or to (figure, remark); empty takes those of the comparison.
        warnings: Sentences that must not be overlooked.
        comparison: Result of `tfc.compare`.
        highlight: Name of the model in it that the report is about; None takes the last one.
        labels: Names of the classes; None shows their numbers.
        seed: Seed of the draw of samples.
        measured_elsewhere: Functions that add sections about the same files on other devices.
        curves: Curves of the training.
        artifact: The file whose kernels and ranges are shown.
        recipe: The recipe as text; empty takes the one that the file names.
        plan: What was done to each weight and activation, as text.
        seconds: Stage to the time it took.
        command: Command line that repeats all of it.
        data: What the figures were measured on; may be empty.
    """

    facts: Mapping[str, str | tuple[str, str]] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    comparison: Comparison | None = None
    highlight: str | None = None
    labels: Sequence[str] | None = None
    seed: int = 0
    measured_elsewhere: Sequence[Callable[[Report], None]] = ()
    curves: Sequence[Curves] = ()
    artifact: Artifact | None = None
    recipe: str = ""
    plan: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    command: str = ""
    data: str = ""

    @property
    def place(self) -> int | None:
        """Row of the comparison that the report is about."""
        if self.comparison is None:
            return None
        names = [row["name"] for row in self.comparison.rows]
        return len(names) - 1 if self.highlight not in names else names.index(self.highlight)


SECTIONS: list[Callable[[Report, Contents], None]] = []
"""The standard sections in reading order: functions that add to a report what its contents hold."""


def add_standard_sections(report: Report, contents: Contents) -> None:
    """Adds every standard section that the contents have something for.

    Args:
        report: Report to add to.
        contents: What it is about.

    Example:
        >>> report = Report("Digits")
        >>> add_standard_sections(report, Contents(plan="conv: 8 bits", command="tfcompress demo"))
        >>> [section.title for section in report.sections]
        ['What was done to each weight and activation', 'How to repeat']
    """
    for section in SECTIONS:
        section(report, contents)


def _section(function: Callable[[Report, Contents], None]) -> Callable[[Report, Contents], None]:
    SECTIONS.append(function)
    return function


@_section
def _top(report: Report, contents: Contents) -> None:
    found = contents.comparison
    if found is not None and (said := found.verdict(contents.highlight)):
        report.add_verdict(said.splitlines())
    facts = contents.facts or ({} if found is None else facts_of(found, found.rows[contents.place]["name"]))
    if facts:
        report.add_facts(facts)
    for text in contents.warnings:
        report.add_warning(text)


@_section
def _models(report: Report, contents: Contents) -> None:
    if contents.comparison is not None:
        add_comparison(report, contents.comparison, contents.highlight)


@_section
def _elsewhere(report: Report, contents: Contents) -> None:
    for add in contents.measured_elsewhere:
        add(report)


@_section
def _answers(report: Report, contents: Contents) -> None:
    if contents.comparison is not None and contents.comparison.answers is not None:
        shown = Shown(contents.comparison, contents.place, contents.labels, contents.seed)
        add_answers(report, shown)


@_section
def _fidelity(report: Report, contents: Contents) -> None:
    if contents.artifact is not None:
        add_fidelity(report, contents.artifact)
        add_parity(report, contents.artifact)


@_section
def _training(report: Report, contents: Contents) -> None:
    for curves in contents.curves:
        report.add_picture(curves.title, charts.curves(curves.lines, log=curves.log), curves.note)


@_section
def _shapes(report: Report, contents: Contents) -> None:
    if contents.artifact is not None:
        add_shape_changes(report, contents.artifact)


@_section
def _file(report: Report, contents: Contents) -> None:
    if contents.artifact is not None:
        add_file(report, contents.artifact)


@_section
def _made_with(report: Report, contents: Contents) -> None:
    if contents.recipe:
        report.add_text("Recipe", contents.recipe, verbatim=True)
    elif contents.artifact is not None:
        add_recipe(report, contents.artifact)
    if contents.plan:
        report.add_text("What was done to each weight and activation", contents.plan, verbatim=True)


@_section
def _time(report: Report, contents: Contents) -> None:
    if contents.seconds:
        seconds = {stage: f"{value:.1f} s" for stage, value in contents.seconds.items()}
        report.add_facts(seconds, title="Where the time went")


@_section
def _again(report: Report, contents: Contents) -> None:
    if contents.command:
        report.add_text("How to repeat", contents.command, verbatim=True)


@_section
def _origin(report: Report, contents: Contents) -> None:
    if contents.comparison is not None or contents.artifact is not None:
        add_provenance(report, contents.data)
