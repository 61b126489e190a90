"""Files of each kind, written by other programs than the readers: Pillow, wave, csv."""

import wave

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture():
    """Writes a random picture and returns its pixels."""

    def write(path, size=(12, 10), mode="RGB", seed=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
        pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels, mode).save(path)
        return pixels

    return write


@pytest.fixture
def sound():
    """Writes a WAV file of PCM values (n,) or (n, channels)."""

    def write(path, values, width=2, rate=16000):
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.asarray(values)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1 if values.ndim == 1 else values.shape[1])
            file.setsampwidth(width)
            file.setframerate(rate)
            flat = values.reshape(-1)
            file.writeframes(b"".join(int(v).to_bytes(width, "little", signed=width > 1) for v in flat))

    return write
