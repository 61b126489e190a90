"""Takes the picture `pictures/report.png`: the head of the report on the reference models, in headless Chromium.

Run it after a change of the report's looks (needs Debian's `chromium`): `python docs/draw_report.py mnist.npz`.
"""

import pathlib
import subprocess
import sys
import tempfile

from tfcompress.cli import main

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parent / "models" / "mnist"
FILES = ("float32.tflite", "int8_ptq.tflite", "int8_compressed.tflite")
SIZE = (1040, 860)


def taken(data: str, picture: pathlib.Path) -> int:
    """Writes the report and its picture; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(MODELS / name) for name in FILES]
        title = ["--title=The digit classifier of the demo", "--nolatency"]
        status = main(["tfcompress", "report", *files, f"--data={data}", "--scale=1/255", f"--out={folder}", *title])
        if status:
            return status
        size, page = ",".join(map(str, SIZE)), pathlib.Path(folder, "report.html").as_uri()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}"]
        shot = [f"--screenshot={picture}", "--virtual-time-budget=3000", page]
        return subprocess.run(["chromium", *options, *shot], check=False, capture_output=True).returncode


if __name__ == "__main__":
    sys.exit(taken(sys.argv[1], HERE / "pictures" / "report.png"))
