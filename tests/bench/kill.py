"""Kills writers with SIGKILL at random moments, and looks at what they leave: everything whole, at most one epoch lost.

Each job of `kill_jobs.py` runs in a process of its own, in the same folder again and again, so that what one killed
process left is what the next one finds. After every kill all files are read as a user would read them.

    python tests/bench/kill.py --kills 60
"""

import argparse
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile

from tfcompress.pipeline.chained import ChainedArtifact
from tfcompress.system.folder_lock import PREFIX, locked_folder
from tfcompress.tflite.artifact import Artifact

JOBS = pathlib.Path(__file__).with_name("kill_jobs.py")
STEPS = 32  # of an epoch of the job `fit`
# job -> part of the kills, longest time between "ready" and the kill in seconds
PLAN = {
    "save": (0.2, 0.5), "convert": (0.15, 6.0), "compression": (0.15, 0.5), "split": (0.1, 0.5), "fit": (0.2, 8.0),
    "android": (0.15, 4.0), "demo": (0.05, 60.0),
}  # fmt: skip


def killed(job, folder, wait, environment=None):
    """Starts a job and kills it; True if it was still running."""
    command = [sys.executable, str(JOBS), job, str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{job} ended before it wrote anything")
        time.sleep(wait)
        running = process.poll() is None
        process.send_signal(signal.SIGKILL)
    return running


def read_all(folder):
    """Reads every file of a folder whole; an error says which one is half-written."""
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or PREFIX in str(path):
            continue
        if path.suffix == ".tflite" and not path.name.startswith((".chain", "part")):
            artifact = Artifact.load(path)
            assert artifact.metadata.get("bytes", artifact.size) == artifact.size, path
        elif path.suffix in (".tfc", ".keras", ".npz"):
            assert zipfile.ZipFile(path).testzip() is None, path
        elif path.suffix == ".json" and "backup" not in path.parts:
            json.loads(path.read_bytes())
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>"), path
        elif path.name == "chain.json":
            ChainedArtifact.load(path.parent)


def check_fit(folder):
    """Makes sure that the last start of a training lost at most one epoch, in epochs and in the schedule's steps."""
    begun = [tuple(map(int, line.split())) for line in (folder / "begun").read_text().splitlines()]
    done = [int(line) for line in (folder / "epochs").read_text().splitlines()] if (folder / "epochs").exists() else []
    for before, (epoch, step) in zip([(-1, 0), *begun], begun, strict=False):
        assert epoch >= before[0], f"epoch {epoch} after {before[0]} was begun: more than one epoch is lost"
        assert abs(step - epoch * STEPS) <= STEPS, f"epoch {epoch} begins at step {step} of the schedule"
    assert done == sorted(done) and len(done) - len(set(done)) <= len(begun), done


def check_android(folder):
    """Makes sure that the folder of assets is there, signed and whole."""
    from tfcompress.android.manifest import read_manifest

    if (folder / "models").exists() and (folder / "key.der").exists():
        manifest = read_manifest(folder / "models", folder / "key.der")
        for model in json.loads((folder / "models" / "manifest.json").read_bytes())["models"]:
            manifest.model(model["id"])


def check(job, folder):
    """Looks at what a killed job left."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a sidecar that does not fit its file is warned of
        read_all(folder)
        if job == "fit":
            check_fit(folder)
        if job == "android":
            check_android(folder)


def left(folder):
    """Number of temporary files of killed writers; taken away by whoever writes next."""
    found = len(list(folder.rglob(f"{PREFIX}*")))
    for each in {path.parent for path in folder.rglob(f"{PREFIX}*")}:
        with locked_folder(each):
            pass
    assert not list(folder.rglob(f"{PREFIX}*"))
    return found


def run(job, count, longest, seed=0):
    """Kills a job several times.

    Returns:
        How often it was still running, and how many temporary files were found and cleaned.
    """
    rng, running, temporary = random.Random(f"{job} {seed}"), 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if job == "android":
            from tfcompress.android.key_files import save_keys

            save_keys(folder / "keys")
        for _ in range(count):
            running += killed(job, folder, rng.uniform(0, longest))
            check(job, folder)
            temporary += left(folder)
            if (folder / "done").exists():  # the training came to its end; the next one begins anew
                for path in ("done", "begun", "epochs"):
                    (folder / path).unlink(missing_ok=True)
                for path in (folder / "backup").iterdir():
                    path.unlink()
    return running, temporary


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=60, help="kills in all")
    parser.add_argument("--jobs", nargs="*", default=list(PLAN), choices=list(PLAN))
    parser.add_argument("--seed", type=int, default=0)
    values = parser.parse_args()
    print(f"{'job':14}{'kills':>7}{'running':>9}{'leftovers cleaned':>19}  damage", flush=True)
    for job in values.jobs:
        part, longest = PLAN[job]
        count = max(round(part * values.kills), 1)
        running, temporary = run(job, count, longest, values.seed)
        print(f"{job:14}{count:7}{running:9}{temporary:19}  none", flush=True)


if __name__ == "__main__":
    main()
