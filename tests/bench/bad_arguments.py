"""Thousands of bad arguments: every public class and function, every argument, every value that is nonsense there.

What is nonsense is said here by kind of argument, independent of the library's own checks. Right is one TypeError or
ValueError that names the argument; wrong is a value that is taken, and an error of Python, NumPy or Keras.

    python tests/bench/bad_arguments.py
"""

import argparse
import collections
import sys
import warnings

from argument_kinds import POOL
from arguments_of_classes import constructors
from arguments_of_functions import functions


def judge(call, fits, name, value):
    """What became of one argument: "refused", "accepted", or the raw error."""
    try:
        call(**{**fits, name: value})
    except (TypeError, ValueError) as error:
        return "refused" if name in str(error).lower() else f"raw {type(error).__name__}: {str(error)[:90]}"
    except FileNotFoundError:
        return "refused"  # a text is a path, and it is named
    except Exception as error:
        return f"raw {type(error).__name__}: {str(error)[:90]}"
    return "accepted"


def bad(sense):
    """The values that are nonsense for an argument."""
    found = []
    for value in POOL:
        if type(value).__name__ == "list_iterator":
            continue  # it is empty after the first look
        try:
            if not sense(value):
                found.append(value)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            found.append(value)
    return found


def run(table):
    """Tries every argument of a table; yields (name, argument, value, what became of it)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for title, (call, fits, kinds) in table.items():
            for name, sense in kinds.items():
                for value in bad(sense):
                    yield title, name, value, judge(call, fits, name, value)


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.parse_args()
    counts, wrong = collections.defaultdict(collections.Counter), []
    for title, name, value, what in run({**constructors(), **functions()}):
        kind = what if what in ("refused", "accepted") else "raw"
        counts[title][kind] += 1
        if kind != "refused":
            wrong.append((title, name, type(value).__name__, what))
    print(f"{'what':26}{'bad arguments':>14}{'refused':>9}{'accepted':>10}{'raw errors':>12}")
    for title, found in counts.items():
        print(f"{title:26}{found.total():14,}{found['refused']:9,}{found['accepted']:10,}{found['raw']:12,}")
    total = sum(counts.values(), collections.Counter())
    print(f"{'all':26}{total.total():14,}{total['refused']:9,}{total['accepted']:10,}{total['raw']:12,}")
    for row in wrong:
        print("  ".join(row))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
