"""Loops of the library show the time that is left while a command runs, and nothing otherwise."""

import io
import time

import pytest

from tfcompress.text import log, progress
from tfcompress.text.progress import Pace, followed, progress_shown, time_left


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second with each look."""
    now = iter(range(10**6))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(now)))


def test_nothing_is_shown_unless_a_command_asks(monkeypatch, clock, capsys):
    assert list(followed(range(50), "calibrating", 50)) == list(range(50))
    with progress_shown(0):
        assert sum(followed(range(50), "calibrating", 50)) == 1225
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_one_line_that_is_written_over(monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress_shown():
        assert list(followed("abcdefgh", "calibrating, samples", 8)) == list("abcdefgh")
    lines = terminal.getvalue().split("\r\x1b[K")
    assert "\n" not in terminal.getvalue() and lines[0] == lines[-1] == ""
    # each of 8 samples takes a second or two of that clock
    assert any(line.startswith("calibrating, samples: 4 of 8, ") and line.endswith(" s left") for line in lines)


def test_elsewhere_there_are_few_lines(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(log.time, "monotonic", lambda: 100.0 + now[0])
    with progress_shown():
        for _ in followed(range(300), "running the file, calls", 300):
            now[0] += 0.1  # 30 s in all
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 4
    assert lines[0].startswith("running the file, calls: 2") and lines[0].endswith("s left")


def test_an_error_in_the_loop_removes_the_line(monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress_shown(), pytest.raises(KeyError):
        for number in followed(range(9), "calibrating", 9):
            if number == 7:
                raise KeyError(number)
    assert terminal.getvalue().endswith("\r\x1b[K") and not log.Progress.open


def test_short_work_shows_nothing(capsys):
    pace = Pace("work", 2, 1)
    pace(1)
    assert capsys.readouterr().err == "" and pace.left(0) == "" and pace.left(2) == ""
    time.sleep(0.01)
    assert pace.left(1) == "0 s left"


@pytest.mark.parametrize(
    "seconds, said", [(0.4, "0 s"), (59.4, "59 s"), (60, "1:00 min"), (3599, "59:59 min"), (3600, "1:00 h")]
)
def test_times(seconds, said):
    assert time_left(seconds) == f"{said} left"
