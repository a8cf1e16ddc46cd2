"""Audio as numbers: reading wav files, writing them, and changing the sample rate.

Audio is one channel of float32 between -1 and 1. ``resample`` waits for lesson 09, whose encoder hears one rate.
"""

import io
import math
import wave
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.signal import firwin, resample_poly
from torch import Tensor

from gemini_workshop.errors import DataError

LOBES = 32  # of the filter's sinc on either side: more of them, a steeper filter


def read_wav(path: str | Path) -> tuple[Float[Tensor, " samples"], int]:
    """The audio in a wav file, its channels averaged to one, and its samples per second.

    Raises:
        DataError: it is not a wav file of whole numbers, or it is cut off.
    """
    return decode_wav(Path(path).read_bytes(), str(path))


def decode_wav(content: bytes, name: str = "The content") -> tuple[Float[Tensor, " samples"], int]:
    """As :func:`read_wav`, from the bytes of a file; ``name`` is for messages."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            num_stated = file.getnframes()
            data = file.readframes(num_stated)
    except (wave.Error, EOFError) as error:
        raise DataError(f"{name} is not a wav file that can be read: {error}. Convert it to 16-bit PCM.") from None
    if len(data) != num_stated * width * channels:
        raise DataError(f"{name} is cut off: {len(data):,} of {num_stated * width * channels:,} bytes of audio.")
    samples = _to_unit_range(data, width).reshape(-1, channels).mean(axis=1)
    return torch.from_numpy(samples.astype(np.float32)), rate


def encode_wav(samples: Float[Tensor, " samples"], sample_rate: int) -> bytes:
    """The bytes of a 16-bit wav file.

    Raises:
        DataError: a sample lies outside [-1, 1].
    """
    if len(samples) and not float(samples.abs().max()) <= 1:
        raise DataError(
            f"The loudest sample is {float(samples.abs().max()):g}. Samples must lie in [-1, 1]: divide by the loudest."
        )
    numbers = (samples.detach().cpu().double() * 2**15).round().clamp(-(2**15), 2**15 - 1)
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(sample_rate)
        sound.writeframes(numbers.numpy().astype("<i2").tobytes())
    return file.getvalue()


def resample(samples: Float[Tensor, " samples"], from_rate: int, to_rate: int) -> Float[Tensor, " resampled"]:
    """The same audio at another number of samples per second.

    Frequencies that the lower rate cannot hold are filtered out; within a few percent of that limit tones are weakened.

    Raises:
        DataError: a rate is below 1.
    """
    if min(from_rate, to_rate) < 1:
        raise DataError(f"Sample rates {from_rate} and {to_rate} are given. Both must be at least 1.")
    if from_rate == to_rate or not len(samples):
        return samples
    divisor = math.gcd(from_rate, to_rate)
    up, down = to_rate // divisor, from_rate // divisor
    taps = firwin(2 * LOBES * max(up, down) + 1, 1 / max(up, down), window="hann")
    return torch.from_numpy(resample_poly(samples.numpy(), up, down, window=taps))


def _to_unit_range(data: bytes, width: int) -> np.ndarray:
    """Whole numbers of 1 to 4 bytes as floats in [-1, 1); those of one byte have 128 for silence."""
    if width == 1:
        return (np.frombuffer(data, dtype=np.uint8).astype(np.float64) - 128) / 128
    padded = np.zeros((len(data) // width, 4), dtype=np.uint8)
    padded[:, 4 - width :] = np.frombuffer(data, dtype=np.uint8).reshape(-1, width)
    return padded.view("<i4")[:, 0] / 2**31
