"""Every field of every public technique has a flag, made from the class alone."""

import dataclasses
import subprocess
import sys

import pytest

import tfcompress as tfc
from tfcompress.cli import main, technique_fields
from tfcompress.cli.entry import COMMANDS, DONE, USAGE
from tfcompress.cli.technique_flags import flag_name, given_flags, given_techniques, make_technique

TECHNIQUES = {
    name: found
    for name in tfc.__all__
    if isinstance(found := getattr(tfc, name), type)
    and issubclass(found, tfc.Technique)
    and "hooks_are_shown" not in vars(found)
}
# What no text can be. All else that a field takes, a flag takes.
NOT_ON_A_COMMAND_LINE = {
    ("Distill", "where"): "the class refuses it: a loss has no weights to choose",
    ("Distill", "overrides"): "the class refuses it: a loss has no weights to choose",
}
OTHERS = {"head": None, "conv(1|2)": 0.75}
EXAMPLES = [
    ("--prune=0.8", tfc.Prune(0.8)),
    ("--prune_sparsity=0.8 --prune_scope=global", tfc.Prune(0.8, scope="global")),
    ("--prune=polynomial(0,0.8,stop=0.7)", tfc.Prune(tfc.schedules.polynomial(0, 0.8, stop=0.7))),
    ("--prune_threshold=0.1 --prune_rewind=none", tfc.Prune(threshold=0.1)),
    ("--prune=0.5 --prune_overrides=head:none,conv(1|2):0.75", tfc.Prune(0.5, overrides=OTHERS)),
    ("--prune=0.5 --prune_where=Dense,conv.*", tfc.Prune(0.5, where=("Dense", "conv.*"))),
    ("--prune=0.5 --prune_where=Where(skip='head')", tfc.Prune(0.5, where=tfc.Where(skip="head"))),
    ("--cluster=16 --cluster_per_channel --nocluster_keep_zeros", tfc.Cluster(16, per_channel=True, keep_zeros=False)),
    ("--quantize=w4a8 --quantize_per_channel=true", tfc.Quantize("w4a8", per_channel=True)),
    ("--quantize=QuantSpec(weight_bits=4)", tfc.Quantize(tfc.QuantSpec(weight_bits=4))),
    ("--prune_channels_macs=0.5 --prune_channels_round_to=1", tfc.PruneChannels(macs=0.5, round_to=1)),
    ("--prune_channels_schedule=linear(0,0.5)", tfc.PruneChannels(schedule=tfc.schedules.linear(0, 0.5))),
    ("--drop_layers=2 --drop_layers_what=blocks", tfc.DropLayers(2, what="blocks")),
    ("--drop_layers=0.5", tfc.DropLayers(0.5)),
    ("--drop_layers_names=sum0,sum1", tfc.DropLayers(names=("sum0", "sum1"))),
    ("--low_rank=8,4 --low_rank_method=tucker", tfc.LowRank((8, 4), method="tucker")),
    ("--low_rank_energy=0.9 --low_rank_method=svd,tucker", tfc.LowRank(energy=0.9, method=("svd", "tucker"))),
    ("--merge_channels_threshold=1", tfc.MergeChannels(threshold=1.0)),
    ("--fold", tfc.Fold()),
    ("--fold_overrides=head:none", tfc.Fold(overrides={"head": None})),
    ("--equalize", tfc.Equalize()),
    ("--equalize_relu6 --equalize_smooth=0.5", tfc.Equalize(relu6=True, smooth=0.5)),
    ("--distill=a.keras,b.keras --distill_weights=1,2", tfc.Distill(["a.keras", "b.keras"], weights=(1, 2))),
    ('--distill=["a,b.keras"]', tfc.Distill(["a,b.keras"])),
    ("--distill=a.keras --distill_features=c1:d1,c2:d2", tfc.Distill("a.keras", features=(("c1", "d1"), ("c2", "d2")))),
    ("--distill=a.keras --distill_answers=softmax,linear", tfc.Distill("a.keras", answers=("softmax", "linear"))),
]  # fmt: skip
WRONG = {
    "int": "x", "float": "x", "bool": "x", "str": "foo", "dict": "foo", "Any": "foo", "where": "conv(",
    "tuple[str, ...]": "",    "tuple[float, ...]": "x", "tuple[tuple[str, str], ...]": "x",
}  # fmt: skip
FIRST = ["distill=a.keras", "prune=0.5", "drop_layers=1", "low_rank=4", "merge_channels=0.5", "prune_channels=0.5"]
RIGHT = {  # what a class takes as long as it knows no model
    "distill": "a path", "quantize_per_channel": "refused with the scheme", "prune_criterion": "a name of the user's",
    "prune_channels_criterion": "a name of the user's",
}  # fmt: skip


def parsed(*arguments):
    return COMMANDS["compress"].parse(["model.keras", "--data=d.npz", *arguments])[0]


def test_the_public_techniques_are_those_that_have_flags():
    assert len(TECHNIQUES) >= 10
    assert set(technique_fields.read_techniques()) == set(TECHNIQUES)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_field_has_a_flag_with_its_default_and_text(name):
    read = {field.name: field for field in technique_fields.read_techniques()[name].fields}
    values = parsed()
    for field in dataclasses.fields(TECHNIQUES[name]):
        if (name, field.name) in NOT_ON_A_COMMAND_LINE:
            assert field.name not in read
            with pytest.raises((TypeError, ValueError), match=field.name):
                TECHNIQUES[name]("a.keras", **{field.name: {"head": None} if field.name == "overrides" else "head"})
            continue
        assert read[field.name].default == field.default and read[field.name].text
        flag = values[f"{flag_name(name)}_{field.name}"]
        assert flag.field == field.name and flag.technique.name == name


@pytest.mark.parametrize("line, technique", EXAMPLES, ids=[line for line, _ in EXAMPLES])
def test_flags_make_what_python_makes(line, technique):
    ((name, fields),) = given_techniques(parsed(*line.split(" "))).items()
    assert make_technique(name, fields) == technique


def test_techniques_come_in_the_order_of_their_flags_and_none_leaves_one_out():
    line = "--equalize_bits=4 --prune_channels=0.5 --nofold --prune=none --prune_seed=1 --fold_where=a --cluster=4"
    assert list(given_techniques(parsed(*line.split()))) == ["Equalize", "PruneChannels", "Cluster"]
    assert given_techniques(parsed()) == {}


def test_a_new_technique_has_flags_without_another_edit(tmp_path, monkeypatch, capsys):
    (tmp_path / "halve.py").write_text(
        "from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass Halve(Technique):\n"
        '    """Halves weights.\n\n    Args:\n        share: Share of the weights.\n'
        '        late: Whether late.\n    """\n\n'
        "    share: float = 0.5\n    late: bool = False\n"
    )
    known = technique_fields.public_homes() | {"Halve": "tfcompress.techniques.halve"}
    monkeypatch.setattr(technique_fields, "public_homes", lambda: known)
    monkeypatch.setattr("tfcompress.techniques.__path__", [*tfc.techniques.__path__, str(tmp_path)])
    technique_fields.read_techniques.cache_clear()
    try:
        assert given_techniques(parsed("--halve=0.25", "--halve_late")) == {"Halve": {"share": 0.25, "late": True}}
        assert main(["tfcompress", "compress", "--help"]) == DONE
        text = capsys.readouterr().out
        assert "Halve: Halves weights:" in text and "--halve, --halve_share=0.5\n      Share of the weights." in text
    finally:
        technique_fields.read_techniques.cache_clear()


def flags_of_techniques():
    values = parsed()
    return sorted({values[n].name for n in values if hasattr(values[n], "technique")})


@pytest.mark.parametrize("name", flags_of_techniques())
def test_a_wrong_value_names_the_flag(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flag = parsed()[name]
    kind = next((f.kind for f in flag.technique.fields if f.name == flag.field), "bool").split(" | ")[0]
    short = flag.short_name or name
    if short in RIGHT:
        pytest.skip(RIGHT[short])
    wrong = WRONG["where" if flag.field == "where" else kind]
    needed = [f"--{first}" for first in FIRST if first.partition("=")[0] == flag_name(flag.technique.name)]
    code = main(["tfcompress", "compress", "m.keras", "--data=d.npz", *needed, f"--{name}={wrong}", "--verbose=0"])
    text = capsys.readouterr().err
    assert code == USAGE and text.count("\n") == 1, text
    assert f"--{short}" in text or f"--{name}" in text
    assert "See: tfcompress compress --help" in text


def test_help_with_all_techniques_needs_no_tensorflow():
    script = (
        "import sys; from tfcompress.cli import main; main(['tfcompress', 'compress', '--help']);"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--low_rank_energy" in done.stdout


def test_a_flag_is_repeated_as_it_was_given():
    given = ["m.keras", "--data=x.npz", "--prune=0.5", "--quantize=none", "--prune_where=conv,dense"]
    values = COMMANDS["compress"].parse(given)[0]
    told = {flag.serialize() for flag in given_flags(values)}
    assert told == {"--prune_sparsity=0.5", "--quantize_scheme=none", "--prune_where=conv,dense"}
