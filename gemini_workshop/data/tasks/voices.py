"""What tasks let hear: spoken digits, loaded once, in many versions for training; and keys that are dialled.

A voice is varied in five ways: faster and higher or slower and lower (read at another rate); faster or slower at the
same pitch (overlapping pieces are laid closer together or further apart); brighter or duller, as another microphone
hears it; louder or softer; later, and in noise.
"""

import functools
import math
import random

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.data.media.audio import load_audio
from gemini_workshop.data.media.dial_tones import SAMPLE_RATE, dial
from gemini_workshop.data.media.documents import AudioPart
from gemini_workshop.data.tasks.drawn import Draw
from gemini_workshop.data.tasks.example import Split
from gemini_workshop.data.tasks.splits import HELDOUT_SPEAKER

Samples = Float[Tensor, " samples"]
Varied = Float[Tensor, " varied"]
PITCH, TEMPO, LATER_SECONDS = 0.2, 0.2, 0.1
DULL = 0.6  # how much of each sample the next one gets, at most; or loses, which is brighter
QUIETEST, LOUDEST = 0.02, 0.9  # as quiet as the quietest speaker is recorded
NOISE = 0.02
PIECE, HOP = 320, 160
DIAL_NOISE = 0.1


@functools.cache
def recordings(split: Split, heldout_speaker: str = HELDOUT_SPEAKER) -> list[tuple[int, Samples]]:
    """Digit and audio of everything said by the held-out speaker, or by all others."""
    clips = [clip for clip in load_audio("spoken-digits") if (clip.speaker == heldout_speaker) == (split == "heldout")]
    return [(int(clip.caption[-1]), clip.samples) for clip in clips]


def spoken(samples: Samples, draw: Draw) -> AudioPart:
    """A recording as it is; in training, a version of it."""
    return AudioPart(samples=varied(samples, draw) if draw.is_training else samples, sample_rate=SAMPLE_RATE)


@functools.cache
def _saying(digit: int, split: Split, heldout_speaker: str) -> list[Samples]:
    return [samples for said, samples in recordings(split, heldout_speaker) if said == digit]


def speak(digit: int, draw: Draw, heldout_speaker: str = HELDOUT_SPEAKER) -> AudioPart:
    """Anyone of the split says a digit."""
    return spoken(draw.random.choice(_saying(digit, draw.split, heldout_speaker)), draw)


def press(keys: str, draw: Draw) -> AudioPart:
    """Keys are dialled; in training, with more or less noise."""
    noise = draw.random.uniform(0, DIAL_NOISE) if draw.is_training else DIAL_NOISE / 2
    return AudioPart(samples=dial(keys, draw.generator, noise=noise), sample_rate=SAMPLE_RATE)


def varied(samples: Samples, draw: Draw) -> Varied:
    """Another version of a recording, between -1 and 1."""
    chances = draw.random
    faster = at_rate(samples, chances.uniform(1 - PITCH, 1 + PITCH))
    stretched = at_tempo(faster, chances.uniform(1 - TEMPO, 1 + TEMPO))
    coloured = stretched + chances.uniform(-DULL, DULL) * F.pad(stretched, [1, -1])
    later = F.pad(coloured, [_silence(chances), _silence(chances)]) / coloured.abs().max().clamp(min=1e-6)
    noisy = later + chances.uniform(0, NOISE) * torch.randn(len(later), generator=draw.generator)
    peak = math.exp(chances.uniform(math.log(QUIETEST), math.log(LOUDEST)))
    return (peak * noisy).clamp(-1, 1)


def at_rate(samples: Samples, rate: float) -> Varied:
    """Read ``rate`` times as fast: shorter and higher, or longer and lower."""
    length = max(round(len(samples) / rate), 2)
    return F.interpolate(samples[None, None], size=length, mode="linear", align_corners=True)[0, 0]


def at_tempo(samples: Samples, tempo: float) -> Varied:
    """``tempo`` times as fast at the same pitch.

    Pieces of 40 ms are taken every ``tempo * 20`` ms and laid every 20 ms, each fading in while the last fades out.
    """
    padded = F.pad(samples, [0, PIECE])
    starts = torch.arange(0, len(samples), tempo * HOP).long()
    pieces = padded[starts[:, None] + torch.arange(PIECE)] * torch.hann_window(PIECE)
    laid = pieces.new_zeros(len(starts) + 1, HOP)
    laid[:-1] += pieces[:, :HOP]
    laid[1:] += pieces[:, HOP:]
    return laid.flatten()


def _silence(chances: random.Random) -> int:
    return round(chances.uniform(0, LATER_SECONDS) * SAMPLE_RATE)
