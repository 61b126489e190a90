"""Each command does its work on files: what it writes loads, and holds what it printed."""

import json
import re

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.benchmarking.bench_report import BenchReport
from tfcompress.cli import main
from tfcompress.cli.entry import DONE, FAILED, REFUSED, USAGE
from tfcompress.evaluate.kernels import kernel_table

pytestmark = pytest.mark.sampled(3)


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_model, tiny_data):
    """A working folder with a trained-looking model and its data as bytes."""
    monkeypatch.chdir(tmp_path)
    tiny_model.save("model.keras")
    x, y = tiny_data
    images = np.rint(x[..., 0] * 255).astype(np.uint8)
    np.savez("data.npz", x_train=images[:192], y_train=y[:192], x_test=images[192:], y_test=y[192:])
    return tmp_path


def run(*arguments):
    return main(["tfcompress", *arguments])


@pytest.fixture
def int8(folder):
    options = ["--calibration=data.npz", "--scale=1/255", "--verbose=0"]
    assert run("convert", "model.keras", "--out=int8.tflite", *options) == DONE
    return tfc.Artifact.load("int8.tflite")


def test_convert_writes_what_the_library_would(int8, folder, capsys, tiny_model):
    assert int8.is_integer
    x = np.load("data.npz")["x_train"][..., None] * np.float32(1 / 255)
    assert int8.content == tfc.convert(tfc.load_model("model.keras"), calibration=x).content
    assert run("convert", "model.keras", "--mode=float16") == DONE
    assert f"Wrote model.tflite ({(folder / 'model.tflite').stat().st_size:,} bytes" in (capsys.readouterr().out)
    assert not tfc.Artifact.load("model.tflite").is_integer


@pytest.mark.slow
def test_convert_ends_in_a_verdict_and_keeps_what_is_required(folder, capsys):
    options = ["--calibration=data.npz", "--scale=1/255", "--out=a.tflite"]
    assert run("convert", "model.keras", *options, "--require=agreement=0.5,error=0.5") == DONE
    artifact = tfc.Artifact.load("a.tflite")
    assert capsys.readouterr().out.splitlines()[-1] == artifact.verdict() and "of 192 samples" in artifact.verdict()
    assert run("convert", "model.keras", *options, "--require=error=1e-9", "--out=b.tflite") == REFUSED
    assert "required is at most 1e-09" in capsys.readouterr().err and not (folder / "b.tflite").exists()
    for wrong in ("accuracy=1", "error=small", "error"):
        assert run("convert", "model.keras", *options, f"--require={wrong}") == USAGE
        assert "require" in capsys.readouterr().err


def test_convert_scales_and_shifts_the_inputs(folder):
    options = ["--calibration=data.npz", "--scale=1/127.5", "--offset=-1", "--percentile=99.9"]
    assert run("convert", "model.keras", *options) == DONE
    x = np.load("data.npz")["x_train"][..., None] * np.float32(1 / 127.5) - np.float32(1)
    same = tfc.convert(tfc.load_model("model.keras"), calibration=x, percentile=99.9)
    assert tfc.Artifact.load("model.tflite").content == same.content


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_convert_io(folder, io):
    options = ["--calibration=data.npz", "--scale=1/255", f"--io={io}"]
    assert run("convert", "model.keras", *options) == DONE
    artifact = tfc.Artifact.load("model.tflite")
    assert {spec.dtype for spec in (*artifact.inputs, *artifact.outputs)} == {io}


def test_the_gate_has_its_own_exit_code_and_writes_nothing(folder, capsys):
    layers = keras.layers
    stack = [keras.Input((8, 8, 1)), layers.Reshape((4, 16)), layers.SimpleRNN(3, activation="elu", name="bent")]
    keras.Sequential([*stack, layers.Dense(2)]).save("elu.keras")
    options = ["--calibration=data.npz", "--scale=1/255"]
    assert run("convert", "elu.keras", *options) == REFUSED
    error = capsys.readouterr().err
    assert "ELU" in error and "bent" in error
    assert not (folder / "elu.tflite").exists()
    assert run("convert", "elu.keras", *options, "--allow_float=ELU") == DONE
    assert (folder / "elu.tflite").exists()


@pytest.mark.slow
def test_convert_takes_a_folder_of_images(folder):
    from PIL import Image

    (folder / "photos").mkdir()
    for i, image in enumerate(np.load("data.npz")["x_train"][:12]):
        Image.fromarray(image).save(folder / "photos" / f"{i}.png")
    assert run("convert", "model.keras", "--calibration=photos", "--scale=1/255") == DONE
    artifact = tfc.Artifact.load("model.tflite")
    assert artifact.is_integer and artifact.inputs[0].scale == pytest.approx(1 / 255, rel=0.01)


def test_calibration_is_needed_for_int8(folder, capsys):
    assert run("convert", "model.keras") == USAGE
    assert "Pass --calibration=FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_compress_keeps_the_laws_of_the_flags(folder, capsys):
    options = ["--prune=0.5", "--cluster=8", "--epochs=2", "--batch=32", "--verbose=0"]
    assert run("compress", "model.keras", "--data=data.npz", "--scale=1/255", *options) == DONE
    out = folder / "compressed"
    names = {"model.keras", "model.tflite", "model.tflite.json", "recipe.json"}
    assert {path.name for path in out.iterdir()} == names | {"report.html", "report.txt"}
    model = keras.models.load_model(out / "model.keras")
    for layer in (model.get_layer("conv"), model.get_layer("head")):
        kernel = np.asarray(layer.kernel)
        assert np.sum(kernel == 0) == round(0.5 * kernel.size)
        assert np.unique(kernel).size <= 9
    artifact = tfc.Artifact.load(out / "model.tflite")
    assert artifact.is_integer
    assert all(row["values_per_channel"] <= 9 for row in kernel_table(artifact))
    recipe = tfc.Recipe.load(out / "recipe.json")
    assert recipe == [tfc.Prune(0.5), tfc.Cluster(8), tfc.Quantize("int8")]
    assert f"{artifact.size:,} bytes" in capsys.readouterr().out


@pytest.mark.slow
def test_compress_by_a_recipe_file(folder):
    tfc.Recipe([tfc.Prune(0.25)]).save("recipe.json")
    options = ["--recipe=recipe.json", "--epochs=1", "--verbose=0", "--out=r"]
    assert run("compress", "model.keras", "--data=data.npz", "--scale=1/255", *options) == DONE
    kernel = np.asarray(keras.models.load_model("r/model.keras").get_layer("head").kernel)
    assert np.sum(kernel == 0) == round(0.25 * kernel.size)


@pytest.mark.slow
def test_compress_cuts_channels(folder):
    options = ["--channels=0.5", "--round_to=1", "--prune=0.5", "--epochs=1", "--verbose=0"]
    assert run("compress", "model.keras", "--data=data.npz", "--scale=1/255", *options) == DONE
    out = folder / "compressed"
    before, after = (tfc.load_model(path) for path in (folder / "model.keras", out / "model.keras"))
    assert after.count_params() < before.count_params()
    artifact = tfc.Artifact.load(out / "model.tflite")
    assert artifact.is_integer and {row["technique"] for row in artifact.metadata["surgery"]} == {"PruneChannels"}
    assert [t.name for t in tfc.Recipe.load(out / "recipe.json")][0] == "PruneChannels"
    assert "channels cut" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_compress_with_a_teacher(folder):
    options = ["--teacher=model.keras", "--quantize=none", "--epochs=1", "--verbose=0", "--out=t"]
    assert run("compress", "model.keras", "--data=data.npz", "--scale=1/255", *options) == DONE
    assert tfc.Artifact.load("t/model.tflite").is_integer
    assert tfc.Recipe.load("t/recipe.json") == [tfc.Distill("model.keras", temperature=3.0)]


@pytest.mark.parametrize(
    "options, message, code",
    [
        (["--recipe=r.json", "--prune=0.5"], "leave out --prune", USAGE),
        (["--quantize=none"], "nothing to do", USAGE),
        (["--teacher=none.keras"], "there is no none.keras", FAILED),
        (["--quantize=int9"], "int9", USAGE),
    ],
)
def test_compress_refuses_before_it_trains(options, message, code, folder, capsys):
    assert run("compress", "model.keras", "--data=data.npz", *options) == code
    assert message in capsys.readouterr().err
    assert not (folder / "compressed").exists()


@pytest.mark.slow
def test_bench_prints_and_writes_the_same(int8, capsys):
    assert run("bench", "int8.tflite", "--nomemory", "--json=host.json", "--verbose=0") == DONE
    report = BenchReport.load("host.json")
    printed = capsys.readouterr().out
    assert printed.strip() == report.text().strip()
    assert list(report) == ["int8"] or list(report) == ["int8.tflite"]
    phone = json.loads((report.to_json()).replace(report.document["device"]["name"], "A phone"))
    BenchReport(phone).save("phone.json")
    assert run("bench", "host.json", "phone.json", "--markdown") == DONE
    table = capsys.readouterr().out
    assert "A phone" in table and table.startswith("|")


@pytest.mark.slow
def test_bench_of_reports_alone_has_nothing_to_write(int8, capsys):
    run("bench", "int8.tflite", "--nomemory", "--json=host.json", "--verbose=0")
    assert run("bench", "host.json", "--json=again.json") == USAGE
    assert "--json writes what is measured here" in capsys.readouterr().err


def test_report_compares_and_draws(int8, folder, capsys):
    options = ["--data=data.npz", "--scale=1/255", "--nolatency", "--verbose=0"]
    assert run("report", "model.keras", "int8.tflite", *options) == DONE
    rows = json.loads((folder / "report" / "compare.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["original", "int8.tflite"]
    page = (folder / "report" / "report.html").read_text()
    assert f"{int8.size:,}" in page and f"{rows[1]['accuracy']:.4f}" in page
    assert f"{rows[1]['accuracy']:.4f}" in capsys.readouterr().out
    assert run("report", "int8.tflite", "int8.tflite", *options, "--out=same") == DONE
    same = json.loads((folder / "same" / "compare.json").read_text())["rows"]
    assert same[1]["agreement"] == 1.0


def test_report_names_files_without_their_folders(int8, folder, capsys):
    for name in ("first/out", "second/out"):
        (folder / name).mkdir(parents=True)
        int8.save(folder / name / "int8.tflite")
    files = [str(folder / name / "int8.tflite") for name in ("first/out", "second/out")]
    options = ["--data=data.npz", "--scale=1/255", "--nolatency", "--verbose=0"]
    assert run("report", "model.keras", *files, str(folder / "int8.tflite"), *options) == DONE
    rows = json.loads((folder / "report" / "compare.json").read_text())["rows"]
    assert [row["name"] for row in rows[1:3]] == ["first/out/int8.tflite", "second/out/int8.tflite"]
    assert run("report", "model.keras", files[0], *options) == DONE
    rows = json.loads((folder / "report" / "compare.json").read_text())["rows"]
    assert rows[1]["name"] == "int8.tflite"
    for text in (capsys.readouterr().out, (folder / "report" / "report.html").read_text()):
        assert str(folder) not in text


@pytest.mark.slow
def test_report_shows_a_phone_beside_the_host(int8, folder, capsys):
    options = ["--data=data.npz", "--scale=1/255", "--verbose=0"]
    assert run("bench", "int8.tflite", "--nomemory", "--json=host.json", "--verbose=0") == DONE
    assert run("report", "int8.tflite", "int8.tflite", *options, "--nolatency", "--phone=host.json") == FAILED
    assert "host.json: was not measured on an Android device" in capsys.readouterr().err
    assert not (folder / "report").exists()
    phone = json.loads((folder / "host.json").read_text())
    phone["device"] |= {"name": "A phone", "system": "Android 16", "sdk": 36, "machine": "arm64-v8a"}
    phone["results"][0]["latency"]["p50_us"] = 12345.5
    (folder / "phone.json").write_text(json.dumps(phone))
    assert run("report", "int8.tflite", "int8.tflite", *options, "--phone=phone.json") == DONE
    assert "A phone, Android 16" in capsys.readouterr().out
    for file in ("report.html", "report.txt"):
        text = (folder / "report" / file).read_text()
        assert "On A phone" in text and "12,345.5" in text and "p50 us, phone" in text and "p50 us, host" in text


def test_inspect_a_file(int8, capsys):
    assert run("inspect", "int8.tflite") == DONE
    text = capsys.readouterr().out
    assert int8.summary() in text
    assert re.search(r"head +\d+ +[\d.]+%", text)
    assert "Energy of one inference, estimated: " in text and "not for the battery of a phone" in text
    assert run("inspect", "int8.tflite", "--json") == DONE
    facts = json.loads(capsys.readouterr().out)
    assert facts["bytes"] == int8.size and facts["is_integer"] is True
    assert facts["estimated_uj"] == tfc.energy(int8).uj > 0
    assert [row["layer"] for row in facts["kernels"]] == ["conv", "depthwise", "head"]


def test_inspect_a_model_says_what_stays_float(folder, capsys):
    layers = keras.layers
    bent = layers.Conv3D(1, 1, name="bent")
    stack = [keras.Input((8, 8, 1)), layers.Conv2D(2, 3, name="c"), layers.Reshape((6, 6, 2, 1)), bent]
    keras.Sequential([*stack, layers.Flatten(), layers.Dense(2, name="d")]).save("elu.keras")
    assert run("inspect", "elu.keras") == DONE
    text = capsys.readouterr().out
    assert re.search(r"bent +Conv3D .*stays float: CONV_3D", text)
    assert run("inspect", "elu.keras", "--json") == DONE
    layers = {row["layer"]: row for row in json.loads(capsys.readouterr().out)["layers"]}
    assert layers["c"]["kernels"] == ["kernel"] and layers["c"]["int8"] == "integer"
    assert layers["d"]["parameters"] == 2 * 36 * 2 + 2


def test_demo_passes_its_flags_on(folder, monkeypatch, capsys):
    """The job itself is tested in test_demo; here only that each flag arrives."""
    from tfcompress.demo import main as demo_module

    seen = {}

    class Result:
        def text(self):
            return "all figures"

    def demo(data, out, **options):
        seen.update(options, data=data, out=out)
        return Result()

    monkeypatch.setattr(demo_module, "demo", demo)
    assert run("demo", "--data=d.npz", "--out=o", "--seed=3", "--effort=0.5", "--verbose=0") == DONE
    assert seen == {"data": "d.npz", "out": "o", "seed": 3, "effort": 0.5, "models": None, "verbose": 0}
    assert capsys.readouterr().out == "all figures\n"


def test_a_command_is_one_file(tmp_path, monkeypatch):
    from tfcompress.cli import commands

    (tmp_path / "hello.py").write_text(
        "from tfcompress.cli.command import Command\n"
        "COMMAND = Command('hello', 'Greets.', '', 0, 0, '', (), lambda values: None, lambda values, rest: 0)\n"
    )
    (tmp_path / "shared.py").write_text("WHAT_TWO_COMMANDS_NEED = 1\n")
    before = list(commands.found_commands())
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    assert list(commands.found_commands()) == [*before, "hello"]


def test_the_overview_keeps_its_order():
    from tfcompress.cli.entry import COMMANDS

    order = "demo compress convert bench report inspect slim split android keys monitor"
    assert list(COMMANDS) == order.split()
