"""Pages in a browser: nothing beside the window, no serious fault of accessibility, no request that leaves them."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tfcompress.benchmarking.bench_report import BenchReport
from tfcompress.benchmarking.benchmark import benchmark
from tfcompress.evaluate.compare import compare
from tfcompress.report.report import Report
from tfcompress.report.standard_sections import Contents, Curves, add_standard_sections
from tfcompress.tflite.artifact import Artifact

SCRIPT = pathlib.Path(__file__).with_name("pages.py")
SPEC = importlib.util.spec_from_file_location("pages", SCRIPT)
PAGES = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(PAGES)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (PAGES.chromium() and os.environ.get("TFCOMPRESS_AXE") and importlib.util.find_spec("playwright")),
        reason="needs Chromium, playwright and axe-core (TFCOMPRESS_AXE=axe.min.js)",
    ),
]


def checked(*pages, options=()):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, pages), *options], capture_output=True, text=True, timeout=300
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def files(net_files):
    # Long names, as paths of layers and files are.
    names = ("float32", "int8, pruned and clustered in training, then slimmed, with a name that is much too long")
    return {name: Artifact(content) for name, content in zip(names, net_files, strict=True)}


def test_reports_fit_wide_and_narrow_windows_in_light_and_dark(small_net, net_images, files, tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, len(net_images))
    timed: BenchReport = benchmark(files, runs=5, min_seconds=0, memory=False, verbose=0)
    whole, plain = (
        compare(small_net, files, data, latency=latency, verbose=0)
        for data, latency in (((net_images, y), timed), (net_images, False))
    )
    contents = {
        "whole": Contents(
            comparison=whole,
            artifact=list(files.values())[-1],
            labels=["cat", "a class of a very long name that goes on and on", "dog"],
            warnings=["Drawn digits."],
            curves=[Curves("Loss", {"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]})],
            plan="\n".join(f"encoder/block_{i}/attention/query  kernel  {'what is done; ' * 12}" for i in range(5)),
            command="tfcompress report " + "a_file_name_without_any_space" * 8,
            seconds={"training": 12.0},
            data="mnist.npz, 64 samples",
        ),
        "plain": Contents(comparison=plain),
    }
    pages = []
    for name, held in contents.items():
        report = Report("A report of a model whose name is long, as names of checkpoints tend to be", "64 samples")
        add_standard_sections(report, held)
        pages.append(report.save(tmp_path / name)[0])
    code, told = checked(*pages)
    assert code == 0 and told.strip() == "pages: 8 passed, 0 failed", told


FAULTY = {
    "wide": ("<p style='width:1400px'>wide</p>", "reaches from"),
    "hidden": ("<div style='overflow-x:auto'><p style='width:1400px'>wide</p></div>", "hides a part of its 1400 px"),
    "cut": (
        "<svg viewBox='0 0 90 20' role='img' aria-label='a'><text x='80' y='9'>cut off</text></svg>",
        "is cut off by",
    ),
    "pale": ("<p style='color:#888;background:#777'>pale</p>", "color-contrast"),
    "unnamed": ("<img src='data:image/png;base64,iVBORw0KGgo='>", "image-alt"),
    "open": (
        "<link rel='stylesheet' href='https://example.invalid/a.css'><p>a</p>",
        "asks for https://example.invalid/a.css",
    ),
    "right": ("<p>nothing to find</p>", None),
}


def test_faults_are_found(tmp_path):
    pages = []
    for name, (body, _) in FAULTY.items():
        pages.append(tmp_path / f"{name}.html")
        head = "<head><meta name='viewport' content='width=device-width'><title>T</title></head>"
        pages[-1].write_text(
            f"<!doctype html><html lang='en'>{head}<body><main><h1>T</h1>{body}</main></body></html>", encoding="utf-8"
        )
    code, told = checked(*pages)
    lines = told.splitlines()
    for name, (_, fault) in FAULTY.items():
        about = [line for line in lines if f"/{name}.html, " in line]
        assert sum(fault in line for line in about) == 4 if fault else not about, (name, about)
    assert code == 1 and lines[-1] == "pages: 4 passed, 24 failed"
