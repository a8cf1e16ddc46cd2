"""Sound as numbers: wav files read and written, and the sample rate changed.

A sound is one channel of float32 between -1 and 1.
"""

import io
import math
import wave
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.data.files import write_atomically
from gemini_workshop.errors import DataError

LOBES = 32  # of the sinc on either side: more of them, a steeper filter
BLOCK_SAMPLES = 1 << 14  # computed at once, to bound the memory


def read_wav(path: str | Path) -> tuple[Float[Tensor, " samples"], int]:
    """The sound in a wav file, its channels averaged to one, and its samples per second.

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
        raise DataError(f"{name} is cut off: {len(data):,} of {num_stated * width * channels:,} bytes of sound.")
    samples = _to_unit_range(data, width).reshape(-1, channels).mean(axis=1)
    return torch.from_numpy(samples.astype(np.float32)), rate


def write_wav(path: str | Path, samples: Float[Tensor, " samples"], sample_rate: int) -> None:
    """Write a sound as 16-bit wav, atomically. Raises as :func:`encode_wav`."""
    write_atomically(path, encode_wav(samples, sample_rate))


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
    """The same sound at another number of samples per second.

    Each new sample is the sum of the old ones around its moment, each weighted by a sinc: the only function whose
    spectrum is 1 below half the lower of the two rates and 0 above it. A Hann window ends the sinc after 32 lobes, so
    within a few percent of that limit tones are weakened rather than kept or removed.

    With rates L : M in lowest terms, every L-th new sample lies at the same place between two old ones, so that L sets
    of weights serve for all.

    Args:
        samples: any float dtype; the result has the same.

    Source: Smith, Digital Audio Resampling, https://ccrma.stanford.edu/~jos/resample/
    """
    if min(from_rate, to_rate) < 1:
        raise DataError(f"Sample rates {from_rate} and {to_rate} are given. Both must be at least 1.")
    if from_rate == to_rate or not len(samples):
        return samples
    divisor = math.gcd(from_rate, to_rate)
    old, new = from_rate // divisor, to_rate // divisor
    cutoff = min(1.0, new / old)  # as a share of half the old rate
    width = math.ceil(LOBES / cutoff)
    numbers = torch.arange(-(-len(samples) * new // old))
    filters = _sinc_filters(old, new, cutoff, width).to(samples)
    windows = F.pad(samples, (width - 1, width)).unfold(0, 2 * width, 1)  # window i: i - width + 1 to i + width
    blocks = [(windows[some * old // new] * filters[some % new]).sum(dim=1) for some in numbers.split(BLOCK_SAMPLES)]
    return torch.cat(blocks)


def _sinc_filters(old: int, new: int, cutoff: float, width: int) -> Float[Tensor, "places taps"]:
    """The weights of the old samples around a new one, for each place that it can have between two of them."""
    places = (torch.arange(new) * old % new).double() / new
    distances = torch.arange(1 - width, width + 1) - places[:, None]
    window = torch.cos(distances * math.pi / (2 * width)).square()
    return cutoff * torch.sinc(cutoff * distances) * window


def _to_unit_range(data: bytes, width: int) -> np.ndarray:
    """Whole numbers of 1 to 4 bytes as floats in [-1, 1); those of one byte have 128 for silence."""
    if width == 1:
        return (np.frombuffer(data, dtype=np.uint8).astype(np.float64) - 128) / 128
    padded = np.zeros((len(data) // width, 4), dtype=np.uint8)
    padded[:, 4 - width :] = np.frombuffer(data, dtype=np.uint8).reshape(-1, width)
    return padded.view("<i4")[:, 0] / 2**31
