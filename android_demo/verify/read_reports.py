"""Reads the app's benchmark report and monitoring log with the Python package, as its commands do."""

import argparse
import pathlib

from tfcompress.android.monitor.log import MonitorLog
from tfcompress.android.monitor.monitor import monitor, references_of
from tfcompress.benchmarking.bench_report import BenchReport

MANIFEST = pathlib.Path(__file__).parents[1] / "app/src/main/assets/models/manifest.json"


def main() -> None:
    """Prints both as tables; ends with an error where one of them can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path, help="holds bench.json and monitor.json")
    folder = parser.parse_args().folder
    report = BenchReport.load(folder / "bench.json")
    print(report.text())
    log = MonitorLog.load(folder / "monitor.json")
    print(monitor(log, references_of(MANIFEST)).text())
    print(f"read: {len(report)} results, {len(log.days)} day(s)")


if __name__ == "__main__":
    main()
