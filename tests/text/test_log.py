"""What the package tells goes through one logger, on stderr as it is at that moment."""

import io
import logging

from tfcompress.text.log import Progress, logger, tell


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_comes_once_and_only_where_it_is_wanted(capsys):
    tell("one")
    tell("two", is_wanted=0)
    assert capsys.readouterr() == ("", "one\n")


def test_level_and_handlers_are_the_programs(capsys, monkeypatch):
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    monkeypatch.setattr(logger, "handlers", [handler])
    tell("100 % of it")
    assert [r.getMessage() for r in records] == ["100 % of it"] and capsys.readouterr() == ("", "")
    logger.setLevel(logging.WARNING)
    try:
        tell("two")
    finally:
        logger.setLevel(logging.INFO)
    assert len(records) == 1


def test_progress_is_written_over_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    progress = Progress("bench", 1)
    progress("1 of 2")
    progress("2 of 2")
    tell("a line of its own")
    progress.end()
    assert terminal.getvalue().split("\r\x1b[K") == ["", "bench: 1 of 2", "bench: 2 of 2", "a line of its own\n"]


def test_progress_is_lines_elsewhere(capsys):
    progress = Progress("bench", 1)
    progress("1 of 2")
    progress.end()
    Progress("bench", 0)("2 of 2")
    assert capsys.readouterr().err == "bench: 1 of 2\n"
