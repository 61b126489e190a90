"""A training of a command shows a line for each epoch, with what is left of it."""

import io

import keras
import numpy as np

from tfcompress.cli.epochs import Epochs


class Terminal(io.StringIO):
    def isatty(self):
        return True


def train(verbose, epochs=3):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse", metrics=["mae"])
    x = np.ones((8, 4), "float32")
    options = {"epochs": epochs, "batch_size": 4, "validation_data": (x, x[:, :2]), "verbose": 0}
    return model.fit(x, x[:, :2], callbacks=[Epochs("training", verbose)], **options).history


def test_each_epoch_is_one_line_with_its_figures_and_the_time_left(capsys):
    history = train(1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines):
        assert line.startswith(f"training: epoch {number + 1} of 3, loss {history['loss'][number]:.4g}, val_")
        assert f"val_mae {history['val_mae'][number]:.4g}" in line and line.endswith("left") == (number < 2)
        assert len(line) <= 300


def test_quiet_shows_nothing(capsys):
    train(0)
    assert capsys.readouterr() == ("", "")


def test_steps_are_shown_on_a_terminal_only(monkeypatch):
    monkeypatch.setattr("tfcompress.text.progress._FIRST", 0.0)
    monkeypatch.setattr("tfcompress.text.progress._PAUSE", 0.0)
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    train(1, epochs=2)
    shown = terminal.getvalue()
    assert "training, steps: 1 of 4, epoch 1, " in shown and "training, steps: 4 of 4, epoch 2" in shown
    assert shown.count("\n") == 2  # the lines of epochs stay
