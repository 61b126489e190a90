"""Commands repeat what they were told, with names of files in the place of their paths."""

from absl import flags

from tfcompress.cli.shown_files import command_line


def test_a_command_line_repeats_what_was_given(tmp_path):
    (tmp_path / "my data.npz").write_bytes(b"")
    values = flags.FlagValues()
    flags.DEFINE_string("data", "", "", flag_values=values)
    flags.DEFINE_string("scale", "1", "", flag_values=values)
    flags.DEFINE_boolean("latency", True, "", flag_values=values)
    flags.DEFINE_list("labels", [], "", flag_values=values)
    flags.DEFINE_integer("threads", 1, "", flag_values=values)
    flags.DEFINE_string("out", "report", "", flag_values=values)
    values(
        [
            "x",
            "--out=/somewhere",
            f"--data={tmp_path / 'my data.npz'}",
            "--scale=1/255",
            "--nolatency",
            "--labels=cat,dog",
        ]
    )
    line = command_line(values, "report", [str(tmp_path / "model.keras"), "int8.tflite"])
    assert line == (
        "tfcompress report model.keras int8.tflite '--data=my data.npz' --scale=1/255 --nolatency --labels=cat,dog"
    )
