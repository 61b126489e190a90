"""Draws `pictures/overview.svg`: from a Keras model to a checked file, with the figures of the reference models.

Run it after a new `models/mnist/figures.json`: `python docs/draw_overview.py`.
"""

import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
PICTURE = HERE / "pictures" / "overview.svg"
FIGURES = HERE.parent / "models" / "mnist" / "figures.json"
WIDTH, HEIGHT, BOX, TOP, LEFT, LONGEST = 900, 344, 264, 24, 218, 470
STYLE = """
.page { fill: #fff }
text { font: 14px system-ui, sans-serif; fill: #24292f }
.head { font-weight: 600; font-size: 16px }
.code { font-family: ui-monospace, monospace; font-size: 12.5px }
.box { fill: #f6f8fa; stroke: #d0d7de }
.arrow { stroke: #57606a; stroke-width: 2; fill: none }
.bar { fill: #0969da }
.other { fill: #8c959f }
.small { font-size: 12px; fill: #57606a }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117 } text { fill: #d1d7e0 } .box { fill: #161b22; stroke: #3d444d }
  .arrow { stroke: #9198a1 } .bar { fill: #4493f8 } .other { fill: #656c76 } .small { fill: #9198a1 }
}
"""
STEPS = (
    ("Your Keras 3 model", ("fit(..., callbacks=[", "  tfc.Compression(recipe)])"), "or no training: tfc.convert"),
    ("An integer file", ("compression.convert(", '  "model.tflite", ...)'), "a float operation left is an error"),
    ("A checked file", ("artifact.verdict()", "print(artifact.summary())"), "on your samples, at each conversion"),
)


def drawing(figures: list[dict]) -> str:
    """The picture as SVG text."""
    rows = {row["file"]: row for row in figures}
    before, after = rows["float32.tflite"], rows["int8_compressed.tflite"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        "<title>A Keras model is compressed while it trains, converted to an integer file, and compared</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
    ]
    for place, step in enumerate(STEPS):
        parts += _box(TOP + place * (BOX + 30), step)
    parts.append(
        f'<text class="head" x="{TOP}" y="206">The same digit classifier, {after["accuracy"]:.1%} of MNIST</text>'
    )
    bars = (
        ("float32 file", before["bytes"], before["bytes"], "other"),
        ("int8 file", after["bytes"], before["bytes"], "bar"),
        ("int8 file, zipped", after["gzip_bytes"], before["bytes"], "bar"),
    )
    for place, bar in enumerate(bars):
        parts += _bar(224 + place * 30, *bar)
    parts.append(f'<text class="small" x="{TOP}" y="330">models/mnist/figures.json; made by: tfcompress demo</text>')
    return "\n".join([*parts, "</svg>", ""])


def _box(x: int, step: tuple) -> list[str]:
    title, code, note = step
    parts = [
        f'<rect class="box" x="{x}" y="{TOP}" width="{BOX}" height="138" rx="6"/>',
        f'<text class="head" x="{x + 14}" y="{TOP + 28}">{title}</text>',
        *(f'<text class="code" x="{x + 14}" y="{TOP + 58 + 20 * k}" xml:space="preserve">{line}</text>'
          for k, line in enumerate(code)),
        f'<text class="small" x="{x + 14}" y="{TOP + 120}">{note}</text>',
    ]  # fmt: skip
    if x + BOX < WIDTH - 60:
        parts.append(f'<path class="arrow" d="M{x + BOX + 5} {TOP + 69} h20 m-7 -6 l7 6 l-7 6"/>')
    return parts


def _bar(y: int, name: str, size: int, largest: int, kind: str) -> list[str]:
    length = LONGEST * size / largest
    return [
        f'<text x="{TOP}" y="{y + 15}">{name}</text>',
        f'<rect class="{kind}" x="{LEFT - 50}" y="{y}" width="{length:.1f}" height="20" rx="3"/>',
        f'<text x="{LEFT - 40 + length:.1f}" y="{y + 15}">{size:,} bytes</text>',
    ]


if __name__ == "__main__":
    PICTURE.write_text(drawing(json.loads(FIGURES.read_text(encoding="utf-8"))), encoding="utf-8")
