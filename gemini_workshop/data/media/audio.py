"""Audio with captions: telephone numbers dialled, and spoken digits."""

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.data.corpora import Edition, find_corpus, find_edition
from gemini_workshop.data.media.dial_tones import KEYS, SAMPLE_RATE, dial
from gemini_workshop.data.media.wav import decode_wav
from gemini_workshop.errors import DataError

MIN_KEYS, MAX_KEYS = 3, 7
RECORDING = re.compile(r"(?P<digit>\d)_(?P<speaker>[a-z]+)_(?P<take>\d+)\.wav$")


@dataclass(frozen=True, kw_only=True, eq=False)
class CaptionedAudio:
    """A clip between -1 and 1, and what is heard.

    Args:
        speaker: who speaks; empty where nobody does.
    """

    samples: Float[Tensor, " samples"]
    sample_rate: int
    caption: str
    speaker: str = ""


def load_audio(name: str, size: str = "all") -> list[CaptionedAudio]:
    """The clips of a corpus, fetched if need be.

    Raises:
        DataError: there is no such corpus or size, it holds no audio, it cannot be had here, or a file is damaged.
    """
    corpus = find_corpus(name, "audio")
    return AUDIO_READERS[corpus.reader](*find_edition(corpus, size))


def generate_dial_tones(num_clips: int, seed: int = 0) -> list[CaptionedAudio]:
    """Random telephone numbers, dialled. Clip i depends on the seed and i alone."""
    return [_dialled(i, seed) for i in range(num_clips)]


def _dialled(i: int, seed: int) -> CaptionedAudio:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + i)
    num_keys = int(torch.randint(MIN_KEYS, MAX_KEYS + 1, (), generator=generator))
    keys = "".join(KEYS[k] for k in torch.randint(len(KEYS), (num_keys,), generator=generator).tolist())
    samples = dial(keys, generator)
    return CaptionedAudio(samples=samples, sample_rate=SAMPLE_RATE, caption=f"someone dials {' '.join(keys)}")


def _read_dial_tones(edition: Edition, paths: list[Path]) -> list[CaptionedAudio]:
    del paths
    assert edition.num_items is not None
    return generate_dial_tones(edition.num_items)


def _read_spoken_digits(edition: Edition, paths: list[Path]) -> list[CaptionedAudio]:
    """The recordings in zips, take by take, so that a beginning of them has all digits and all speakers."""
    found = []
    for archive in paths:
        with zipfile.ZipFile(archive) as files:
            here = [(match, files.read(name)) for name in files.namelist() if (match := RECORDING.search(name))]
        if not here:
            raise DataError(f"{archive} holds no recordings called DIGIT_SPEAKER_TAKE.wav. Fetch it again.")
        found += here
    found.sort(key=lambda pair: (int(pair[0]["take"]), pair[0]["speaker"], pair[0]["digit"]))
    return [_spoken(match, content) for match, content in found[: edition.num_items]]


def _spoken(match: re.Match[str], content: bytes) -> CaptionedAudio:
    samples, rate = decode_wav(content, match.string)
    return CaptionedAudio(
        samples=samples, sample_rate=rate, caption=f"someone says {match['digit']}", speaker=match["speaker"]
    )


AUDIO_READERS: dict[str, Callable[[Edition, list[Path]], list[CaptionedAudio]]] = {
    "dial-tones": _read_dial_tones,
    "spoken-digits": _read_spoken_digits,
}
