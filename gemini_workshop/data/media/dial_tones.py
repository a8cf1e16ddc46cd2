"""Dial tones (DTMF), synthesized: each key of a telephone sounds two sines at once.

             1209  1336  1477 Hz
    697 Hz     1     2     3
    770 Hz     4     5     6
    852 Hz     7     8     9
    941 Hz     *     0     #

Source: ITU-T Recommendation Q.23.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.errors import DataError

ROWS_HZ = (697.0, 770.0, 852.0, 941.0)
COLUMNS_HZ = (1209.0, 1336.0, 1477.0)
KEYS = "123456789*0#"
SAMPLE_RATE = 8000
TONE_SECONDS, PAUSE_SECONDS = 0.12, 0.06
RAMP_SECONDS = 0.005


def key_frequencies(key: str) -> tuple[float, float]:
    """The row's and the column's frequency in Hz.

    Raises:
        DataError: a telephone has no such key.
    """
    if len(key) != 1 or key not in KEYS:
        raise DataError(f"A telephone has no key {key!r}. Its keys are {KEYS}.")
    row, column = divmod(KEYS.index(key), len(COLUMNS_HZ))
    return ROWS_HZ[row], COLUMNS_HZ[column]


def dial(
    keys: str, generator: torch.Generator, noise: float = 0.05, sample_rate: int = SAMPLE_RATE
) -> Float[Tensor, " samples"]:
    """The sound of dialling: a tone for each key with a pause after it, all in noise.

    Loudness, the balance of the two sines and their phases differ from key to key.

    Args:
        noise: standard deviation of the noise; a tone has at most 0.8.

    Raises:
        DataError: there is no such key, or none at all.
    """
    if not keys:
        raise DataError(f"There are no keys to dial. Give some of {KEYS}.")
    num_tone, num_pause = round(TONE_SECONDS * sample_rate), round(PAUSE_SECONDS * sample_rate)
    sound = torch.zeros(len(keys), num_tone + num_pause)
    for i, key in enumerate(keys):
        sound[i, :num_tone] = _tone(key, num_tone, sample_rate, generator)
    flat = sound.flatten()
    return (flat + noise * torch.randn(len(flat), generator=generator)).clamp(-1, 1)


def _tone(key: str, num_samples: int, sample_rate: int, generator: torch.Generator) -> Float[Tensor, " samples"]:
    seconds = torch.arange(num_samples) / sample_rate
    loudness, balance, *phases = torch.rand(4, generator=generator).tolist()
    amplitudes = (0.2 + 0.2 * balance, 0.4 - 0.2 * balance)
    sines = [
        amplitude * torch.sin(2 * math.pi * (hz * seconds + phase))
        for amplitude, hz, phase in zip(amplitudes, key_frequencies(key), phases, strict=True)
    ]
    from_ends = torch.minimum(seconds, seconds.flip(0))
    ramp = (from_ends / RAMP_SECONDS).clamp(max=1)  # a sudden start would click at all frequencies
    return (0.5 + 0.5 * loudness) * ramp * torch.stack(sines).sum(dim=0)
