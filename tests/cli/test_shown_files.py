"""Commands name files without their paths, and repeat what they were told."""

from absl import flags

from tfcompress.cli.shown_files import command_line, short_names


def test_names_are_short_and_differ():
    assert short_names(["/home/someone/a.tflite", "b.tflite"]) == ["a.tflite", "b.tflite"]
    assert short_names(["/x/one/m.tflite", "/x/two/m.tflite"]) == ["one/m.tflite", "two/m.tflite"]
    assert short_names(["m.tflite", "m.tflite"]) == ["m.tflite", "m.tflite-2"]


def test_a_command_line_repeats_what_was_given(tmp_path):
    (tmp_path / "my data.npz").write_bytes(b"")
    values = flags.FlagValues()
    flags.DEFINE_string("data", "", "", flag_values=values)
    flags.DEFINE_string("scale", "1", "", flag_values=values)
    flags.DEFINE_boolean("latency", True, "", flag_values=values)
    flags.DEFINE_list("labels", [], "", flag_values=values)
    flags.DEFINE_integer("threads", 1, "", flag_values=values)
    values(["x", f"--data={tmp_path / 'my data.npz'}", "--scale=1/255", "--nolatency", "--labels=cat,dog"])
    named = ("data", "scale", "latency", "threads", "labels")
    line = command_line(values, "report", [str(tmp_path / "model.keras"), "int8.tflite"], named)
    assert line == (
        "tfcompress report model.keras int8.tflite '--data=my data.npz' --scale=1/255 --nolatency --labels=cat,dog"
    )
