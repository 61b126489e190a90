"""Reads folders of WAV files with the standard library, at the length of the model's input."""

import struct
import wave
from collections.abc import Iterator

import numpy as np

from tfcompress.data_files.arrays import Arrays, shape_text
from tfcompress.data_files.class_folders import Part, layout_of
from tfcompress.data_files.reader import Reader, Source
from tfcompress.text.printable import printable

WHAT = "a folder of WAV files"
_BITS = {1: 8, 2: 16, 3: 24, 4: 32}  # by bytes of a value


def read(source: Source) -> Arrays:
    """Reads the sounds of a folder, by class where it has class folders.

    Whole numbers become [-1, 1), as by `tf.audio.decode_wav`; channels are averaged.

    Args:
        source: The folder, and the model's input: (n,) or (n, 1).

    Returns:
        Sounds as float32 (files, n) or (files, n, 1); shorter ones have zeros behind, longer ones are cut.

    Raises:
        ValueError: If a file can't be read, sample rates differ, or the model takes no sounds.
    """
    name, shape, _ = source.one_input(WHAT)
    if len(shape) not in (1, 2) or None in shape or shape[1:] not in ((), (1,)):
        raise ValueError(
            f"{source.named}: {WHAT} fits an input of fixed shape (n, samples) or (n, samples, 1). Input {name!r} "
            f"takes {shape_text(shape)}. Give a .npz file with what the model takes, such as spectrograms."
        )
    layout = layout_of(source, READER)
    parts = [layout.train] if layout.test is None else [layout.train, layout.test]
    sounds = _sounds(source, [path for part in parts for path in part.files])
    arrays, changed = [], {"padded": 0, "cut": 0}
    for part in parts:
        arrays.append(_fitted(part, sounds, shape, changed))
    notes = layout.notes
    if any(changed.values()):
        notes += (
            f"{source.name}: of {sum(len(part.files) for part in parts)} sounds {changed['padded']} were shorter than "
            f"{shape[0]} samples and got zeros behind, {changed['cut']} were longer and were cut",
        )
    test = (arrays[1], layout.test.labels) if layout.test is not None else (None, None)
    return Arrays(arrays[0], layout.train.labels, *test, layout.classes, notes=notes)


def _fitted(part: Part, sounds: Iterator[np.ndarray], shape: tuple[int, ...], changed: dict[str, int]) -> np.ndarray:
    length = shape[0]
    array = np.zeros((len(part.files), length), np.float32)
    for row in array:
        sound = next(sounds)
        row[: len(sound)] = sound[:length]
        changed["padded"] += len(sound) < length
        changed["cut"] += len(sound) > length
    return array.reshape(len(array), *shape)


def _sounds(source: Source, paths: list[str]) -> Iterator[np.ndarray]:
    """Yields one sound after the other, mixed to one channel."""
    first, rate = "", None
    for path in paths:
        sound, found = _read(source, path)
        if rate is None:
            first, rate = path, found
        elif found != rate:
            raise ValueError(
                f"{source.named}: sample rates differ: {printable(first)} has {rate} Hz, {printable(path)} {found} Hz. "
                "Resample them to the rate that the model was trained with."
            )
        yield sound


def _read(source: Source, path: str) -> tuple[np.ndarray, int]:
    try:
        with wave.open(path, "rb") as file:
            count, width, channels = file.getnframes(), file.getsampwidth(), file.getnchannels()
            content, rate = file.readframes(count), file.getframerate()
    except (wave.Error, EOFError, OSError, struct.error, RuntimeError) as error:
        raise ValueError(
            f"{source.named}: {printable(path)} cannot be read: {str(error) or type(error).__name__}. Accepted: plain "
            "PCM of 8, 16, 24 or 32 bits (its extensible form from Python 3.12 on)."
        ) from None
    if width not in _BITS:
        raise ValueError(f"{source.named}: {printable(path)} has {8 * width} bits. Accepted: 8, 16, 24 or 32.")
    if not content or len(content) != count * width * channels:
        held = len(content) // (width * channels)
        raise ValueError(
            f"{source.named}: {printable(path)} is cut off or empty: its header says {count} samples, it holds {held}"
        )
    values = _values(content, width).reshape(-1, channels)
    return (values[:, 0] if channels == 1 else values.mean(axis=1)).astype(np.float32), rate


def _values(content: bytes, width: int) -> np.ndarray:
    """Returns the values of PCM bytes in [-1, 1); 8 bits have no sign, longer ones are little-endian with one."""
    if width == 1:
        return (np.frombuffer(content, np.uint8).astype(np.float64) - 128) / 128
    if width == 3:  # as the upper bytes of 32 bits
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        return wide.reshape(-1).view("<i4") / 2.0**31
    return np.frombuffer(content, f"<i{width}") / 2.0 ** (8 * width - 1)


READER = Reader(what=WHAT, suffixes=frozenset({".wav"}), in_folders=True, read=read)
