"""Audio as numbers: reading wav files, writing them, and changing the sample rate.

Audio is one channel of float32 between -1 and 1.
"""

import io
import math
import warnings
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.io import wavfile
from scipy.signal import firwin, resample_poly
from torch import Tensor

from gemini_workshop.errors import DataError

LOBES = 32  # of the filter's sinc on either side: more of them, a steeper filter
MIN_RATE, MAX_RATE = 1000, 768_000  # samples per second of a file
MAX_SECONDS, MAX_NUMBERS = 300, 2**25  # of a file: 5 minutes, in two channels of 48,000 samples a second and more
MAX_FACTOR = 10_000  # of resampling: rates without a common divisor would need a filter of gigabytes
UNKNOWN_LENGTH = 2**32 - 1  # of a file that was written while it was recorded


def read_wav(path: str | Path) -> tuple[Float[Tensor, " samples"], int]:
    """The audio in a wav file, its channels averaged to one, and its samples per second.

    Whole numbers of any width and floating-point numbers are read; floats louder than 1 are divided by the loudest.

    Raises:
        DataError: it is not such a file, it is empty, cut off or too long, or its sample rate cannot be right.
    """
    return decode_wav(Path(path).read_bytes(), str(path))


def decode_wav(content: bytes, name: str = "The content") -> tuple[Float[Tensor, " samples"], int]:
    """As :func:`read_wav`, from the bytes of a file; ``name`` is for messages."""
    stated = int.from_bytes(content[4:8], "little")
    if content.startswith(b"RIFF") and 8 <= len(content) < stated + 8 and stated != UNKNOWN_LENGTH:
        raise DataError(f"{name} is cut off: it has {len(content):,} of {stated + 8:,} bytes. Copy it again.")
    try:
        with warnings.catch_warnings(action="ignore"):  # about notes of other programs, which are skipped
            rate, numbers = wavfile.read(io.BytesIO(content))
    except Exception as error:  # scipy raises errors of many kinds for damaged headers
        why = str(error).rstrip(".") if isinstance(error, ValueError) else "its header is damaged"
        raise DataError(f"{name} is not a wav file that can be read: {why}. Convert it to 16-bit PCM.") from None
    if not MIN_RATE <= rate <= MAX_RATE or not len(numbers):
        raise DataError(
            f"{name} has {len(numbers):,} samples at {rate:,} a second. It needs at least one, and a rate from "
            f"{MIN_RATE:,} to {MAX_RATE:,}: record or convert it again."
        )
    if len(numbers) > MAX_SECONDS * rate or numbers.size > MAX_NUMBERS:
        raise DataError(
            f"{name} has {len(numbers) / rate:,.0f} s of audio, {numbers.size:,} numbers. Up to {MAX_SECONDS} s and "
            f"{MAX_NUMBERS:,} numbers are read: cut out a piece, or lower its sample rate."
        )
    samples = _to_unit_range(numbers, name).reshape(len(numbers), -1).mean(axis=1)
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
    """The same audio at another number of samples per second, or one that is within a thousandth of it.

    Frequencies that the lower rate cannot hold are filtered out; within a few percent of that limit tones are weakened.

    Raises:
        DataError: a rate is below 1.
    """
    if min(from_rate, to_rate) < 1:
        raise DataError(f"Sample rates {from_rate} and {to_rate} are given. Both must be at least 1.")
    if from_rate == to_rate or not len(samples):
        return samples
    up, down = Fraction(to_rate, from_rate).limit_denominator(MAX_FACTOR).as_integer_ratio()
    taps = firwin(2 * LOBES * max(up, down) + 1, 1 / max(up, down), window="hann")
    return torch.from_numpy(resample_poly(samples.numpy(), up, down, window=taps))


def _to_unit_range(numbers: np.ndarray, name: str) -> np.ndarray:
    """Whole numbers of any width, of which those of one byte have 128 for silence, or floats, in [-1, 1]."""
    if numbers.dtype == np.uint8:
        return (numbers.astype(np.float64) - 128) / 128
    if numbers.dtype.kind == "i":
        return numbers / 2.0 ** (8 * numbers.itemsize - 1)
    loudest = float(np.abs(numbers).max())
    if not math.isfinite(loudest):
        raise DataError(f"{name} holds samples that are not finite numbers. Convert it to 16-bit PCM.")
    return numbers / max(1.0, loudest)
