"""Log-mel spectrograms: what an audio encoder is given.

    samples -> frames, one every 10 ms -> Hann window -> |FFT| -> mel bands -> logarithm

A mel band gathers the frequencies that an ear would hardly tell apart: narrow bands below, wide ones above.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.errors import ConfigError, DataError

MelScale = Literal["htk", "slaney"]
SLANEY_HZ_PER_MEL = 200 / 3
SLANEY_BREAK_HZ, SLANEY_BREAK_MEL = 1000.0, 15.0
SLANEY_LOG_STEP = math.log(6.4) / 27


@dataclass(frozen=True, kw_only=True, slots=True)
class MelConfig:
    """How audio is turned into a spectrogram.

    The defaults are those of Gemma 4's audio encoder, save that the frames are not padded: see :func:`log_mel_frames`.

    Args:
        window_samples: length of a frame; 20 ms.
        hop_samples: from the start of one frame to the next; 10 ms.
        fft_samples: frames are filled up with zeros to this length, which makes the frequencies finer.
        low_hz: where the lowest band begins.
        high_hz: where the highest band ends.
        scale: the formula that spaces the bands.
        is_area_normalised: divides each band by its width, as Slaney does, so that noise is as strong in all.
        power: 1 for magnitudes, 2 for energies.
        floor: added before the logarithm, so that silence is finite.
    """

    sample_rate: int = 16_000
    window_samples: int = 320
    hop_samples: int = 160
    fft_samples: int = 512
    num_bands: int = 128
    low_hz: float = 0.0
    high_hz: float = 8000.0
    scale: MelScale = "htk"
    is_area_normalised: bool = False
    power: float = 1.0
    floor: float = 1e-3

    def __post_init__(self) -> None:
        if min(self.window_samples, self.hop_samples, self.num_bands, self.sample_rate) < 1:
            raise ConfigError(f"{self}: sample rate, window, hop and number of bands must all be at least 1.")
        if self.fft_samples < self.window_samples:
            raise ConfigError(
                f"fft_samples={self.fft_samples} does not hold window_samples={self.window_samples}. "
                f"Choose the next power of two, {2 ** math.ceil(math.log2(self.window_samples))}."
            )
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise ConfigError(
                f"The bands from low_hz={self.low_hz:g} to high_hz={self.high_hz:g} must lie in order between 0 and "
                f"half of sample_rate={self.sample_rate}. Choose high_hz={self.sample_rate / 2:g} at most."
            )


EIGHT_KILOHERTZ = MelConfig(
    sample_rate=8000, window_samples=160, hop_samples=80, fft_samples=256, num_bands=40, high_hz=4000.0
)


def log_mel_frames(samples: Float[Tensor, " samples"], config: MelConfig) -> Float[Tensor, "frames bands"]:
    """The logarithm of how strong each mel band is in each frame.

    Only whole frames count: frame i covers the samples from ``i * hop_samples``. Float64 in, float64 out; else float32.

    Raises:
        DataError: the audio is shorter than one frame.

    Differs: Gemma 4's extractor puts half a window of zeros before the audio, and needs one sample more for a frame.
    """
    if len(samples) < config.window_samples:
        raise DataError(
            f"{len(samples)} samples are shorter than one frame of window_samples={config.window_samples}. "
            "Use longer audio, or add silence."
        )
    samples = samples if samples.dtype == torch.float64 else samples.float()
    magnitudes = stft_magnitudes(samples, config.window_samples, config.hop_samples, config.fft_samples)
    bands = mel_filters(config).to(magnitudes)
    return (magnitudes.pow(config.power) @ bands + config.floor).log()


def stft_magnitudes(
    samples: Float[Tensor, " samples"], window_samples: int, hop_samples: int, fft_samples: int
) -> Float[Tensor, "frames bins"]:
    """How strong each frequency is in each frame: bin k stands for ``k / fft_samples`` of the sample rate."""
    frames = samples.unfold(0, window_samples, hop_samples) * hann_window(window_samples).to(samples)
    return torch.fft.rfft(F.pad(frames, (0, fft_samples - window_samples))).abs()


def hann_window(num_samples: int) -> Float[Tensor, " samples"]:
    """One period of ``(1 - cos) / 2``: windows that start half a window apart add up to 1."""
    angles = 2 * math.pi * torch.arange(num_samples, dtype=torch.float64) / num_samples
    return (1 - angles.cos()) / 2


def mel_filters(config: MelConfig) -> Float[Tensor, "bins bands"]:
    r"""What each frequency adds to each band: triangles that rise to a centre and fall to the next.

                 /\
                /  \
        _______/    \______
              a  b   c          band m has a, b, c = edges m, m + 1, m + 2, evenly spaced in mel

    A band narrower than the distance of two frequencies may hold none; such bands are 0 throughout.
    """
    low, high = hz_to_mel(torch.tensor([config.low_hz, config.high_hz], dtype=torch.float64), config.scale)
    mels = torch.linspace(float(low), float(high), config.num_bands + 2, dtype=torch.float64)
    edges = mel_to_hz(mels, config.scale)
    bins = torch.arange(config.fft_samples // 2 + 1, dtype=torch.float64)
    frequencies = bins * config.sample_rate / config.fft_samples
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies[:, None] - left) / (centre - left)
    falling = (right - frequencies[:, None]) / (right - centre)
    filters = torch.minimum(rising, falling).clamp(min=0)
    return filters * 2 / (right - left) if config.is_area_normalised else filters


def hz_to_mel(hz: Float[Tensor, "*n"], scale: MelScale) -> Float[Tensor, "*n"]:
    """Frequency as perceived pitch.

    ``htk`` is one logarithm, ``2595 log10(1 + hz / 700)``. ``slaney`` is straight up to 1,000 Hz, then logarithmic.

    Source: Young et al., The HTK Book, section 5.4.6; Slaney 1998, Auditory Toolbox.
    """
    if scale == "htk":
        return 2595 * torch.log10(1 + hz / 700)
    above = SLANEY_BREAK_MEL + torch.log(hz.clamp(min=SLANEY_BREAK_HZ) / SLANEY_BREAK_HZ) / SLANEY_LOG_STEP
    return torch.where(hz < SLANEY_BREAK_HZ, hz / SLANEY_HZ_PER_MEL, above)


def mel_to_hz(mel: Float[Tensor, "*n"], scale: MelScale) -> Float[Tensor, "*n"]:
    """The inverse of :func:`hz_to_mel`."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    above = SLANEY_BREAK_HZ * torch.exp(SLANEY_LOG_STEP * (mel - SLANEY_BREAK_MEL))
    return torch.where(mel < SLANEY_BREAK_MEL, mel * SLANEY_HZ_PER_MEL, above)
