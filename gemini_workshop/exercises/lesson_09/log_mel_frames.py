"""Exercise 09.2, ``log_mel_frames``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gemini_workshop.data.media.spectrogram import EIGHT_KILOHERTZ, MelConfig, hann_window, log_mel_frames, mel_filters
from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say

SMALL = MelConfig(
    sample_rate=1000, window_samples=40, hop_samples=15, fft_samples=64, num_bands=5, high_hz=500.0, floor=0.01
)
ENERGIES = MelConfig(
    sample_rate=1000, window_samples=32, hop_samples=16, fft_samples=32, num_bands=4, high_hz=400.0, power=2.0
)


def _cases(generator: torch.Generator) -> list[Arguments]:
    seconds = torch.arange(100) / 1000
    noise = torch.randn(2, 100, generator=generator)
    return [
        (torch.zeros(60), SMALL),
        (torch.sin(2 * math.pi * 200 * seconds[:40]), SMALL),
        (0.5 * torch.sin(2 * math.pi * 120 * seconds[:90]) + 0.1 * noise[0, :90], SMALL),
        (noise[1, :70], ENERGIES),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    return [(0.1 * torch.randn(3000, generator=generator), EIGHT_KILOHERTZ)]


def _oracle(samples: Tensor, config: MelConfig) -> Tensor:
    """One frame at a time, by the sums of sines and cosines that an FFT computes faster."""
    samples, rows = samples.double(), []
    angles = 2 * math.pi * torch.arange(config.fft_samples // 2 + 1, dtype=torch.float64) / config.fft_samples
    places = torch.arange(config.window_samples, dtype=torch.float64)
    window = torch.sin(math.pi * places / config.window_samples) ** 2
    for start in range(0, len(samples) - config.window_samples + 1, config.hop_samples):
        frame = samples[start : start + config.window_samples] * window
        waves = angles[:, None] * places
        strength = torch.hypot((waves.cos() * frame).sum(-1), (waves.sin() * frame).sum(-1))
        rows.append(((strength**config.power)[:, None] * mel_filters(config)).sum(0).add(config.floor).log())
    return torch.stack(rows)


def _explain(function: Function, case: Arguments) -> str | None:
    samples, config = case
    got, expected = function(*case), _oracle(*case)
    heard = "silence" if not samples.any() else "audio"
    given = f"{len(samples)} samples of {heard}, frames of {config.window_samples} every {config.hop_samples}"
    if got.shape != expected.shape:
        return f"{given}: it returned shape {tuple(got.shape)}; {tuple(expected.shape)} is needed."
    if same(got, expected):
        return None
    frame, band = worst_index(got, expected)
    return (
        f"{given}: band {band} of frame {frame} is {number(got[frame, band])}; {number(expected[frame, band])} "
        "is needed."
    )


def _frames(samples: Tensor, config: MelConfig) -> Tensor:
    return samples.unfold(0, config.window_samples, config.hop_samples)


def _windowed(frames: Tensor, config: MelConfig) -> Tensor:
    return frames * hann_window(config.window_samples).to(frames)


def _magnitudes(frames: Tensor, config: MelConfig) -> Tensor:
    return torch.fft.rfft(frames, n=config.fft_samples).abs()


def _strengths(magnitudes: Tensor, config: MelConfig) -> Tensor:
    return magnitudes**config.power


def _bands(strengths: Tensor, config: MelConfig) -> Tensor:
    return strengths @ mel_filters(config).to(strengths)


def _logarithm(bands: Tensor, config: MelConfig) -> Tensor:
    return (bands + config.floor).log()


Step = Callable[[Tensor, MelConfig], Tensor]


def _heard(
    samples: Tensor,
    config: MelConfig,
    *,
    cut: Step = _frames,
    window: Step = _windowed,
    spectrum: Step = _magnitudes,
    strength: Step = _strengths,
    gather: Step = _bands,
    logarithm: Step = _logarithm,
) -> Tensor:
    """Right but for the steps: frames, window, spectrum, strength, bands, logarithm."""
    for step in (cut, window, spectrum, strength, gather, logarithm):
        samples = step(samples, config)
    return samples


def _plain(samples: Tensor, config: MelConfig) -> Tensor:
    frames = samples.unfold(0, config.window_samples, config.hop_samples)
    frames = frames * hann_window(config.window_samples).to(frames)
    magnitudes = torch.fft.rfft(frames, n=config.fft_samples).abs()
    bands = magnitudes**config.power @ mel_filters(config).to(frames)
    return (bands + config.floor).log()


def _with_the_rest(samples: Tensor, config: MelConfig) -> Tensor:
    return _frames(F.pad(samples, (0, config.hop_samples)), config)


def _centred(samples: Tensor, config: MelConfig) -> Tensor:
    return _frames(F.pad(samples, (config.window_samples // 2,) * 2), config)


def _long_window(frames: Tensor, config: MelConfig) -> Tensor:
    filled = F.pad(frames, (0, config.fft_samples - frames.shape[-1]))
    return filled * hann_window(config.fft_samples).to(frames)


def _logarithm_first(strengths: Tensor, config: MelConfig) -> Tensor:
    return _bands((strengths + config.floor).log(), config)


LOG_MEL_FRAMES = Exercise(
    id="09.2",
    minutes=12,
    difficulty=3,
    importance=4,
    reference=log_mel_frames,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    plain=_plain,
    battery=Battery(untrained="samples are data: what is trained comes after the spectrogram", beyond=_beyond),
    misconceptions={
        "no window": Say(
            "The frames are cut out sharply: their ends jump, and a jump sounds at all frequencies. Fade each frame in "
            "and out with the Hann window before the FFT."
        ).to(_heard, window=lambda frames, config: frames),
        "no floor": Say(
            "The floor is missing: the logarithm of silence is minus infinity, and that ruins any model. Add the floor "
            "before the logarithm."
        ).to(_heard, logarithm=lambda bands, config: bands.log()),
        "no logarithm": Say(
            "The bands are not logarithms. An ear hears ratios: twice as loud should add the same amount everywhere."
        ).to(_heard, logarithm=lambda bands, config: bands + config.floor),
        "real part": Say(
            "This is the real part of the FFT. It depends on where in its period a wave is cut; how strong the wave "
            "is, is said by the magnitude, `.abs()`."
        ).to(_heard, spectrum=lambda frames, config: torch.fft.rfft(frames, n=config.fft_samples).real),
        "frames side by side": Say(
            "The next frame begins where the last one ends. It begins `hop_samples` after the last one's beginning, "
            "so that frames overlap and nothing is lost in the fade."
        ).to(_heard, cut=lambda samples, config: samples.unfold(0, *(config.window_samples,) * 2)),
        "decimal logarithm": Say("This is the logarithm to base 10. The natural one is asked for.").to(
            _heard, logarithm=lambda bands, config: (bands + config.floor).log10()
        ),
        "one plus": Say(
            "`log1p` is the logarithm of 1 plus the number: beside that 1, faint sounds all look alike. Only the floor "
            "is added."
        ).to(_heard, logarithm=lambda bands, config: (bands + config.floor).log1p()),
        "decibels": Say("These are decibels. The natural logarithm of the bands is asked for.").to(
            _heard, logarithm=lambda bands, config: 20 * (bands + config.floor).log10()
        ),
        "always squared": Say(
            "The magnitudes are squared, which gives energies. `config.power` says whether that is wanted."
        ).to(_heard, strength=lambda magnitudes, config: magnitudes**2),
        "power ignored": Say(
            "`config.power` changes nothing. It is the exponent of the magnitudes: 1 for magnitudes, 2 for energies."
        ).to(_heard, strength=lambda magnitudes, config: magnitudes),
        "power after the bands": Say(
            "The bands are raised to the power, and not the magnitudes: first the power, then the bands."
        ).to(
            _heard,
            strength=lambda magnitudes, config: magnitudes,
            gather=lambda magnitudes, config: _bands(magnitudes, config) ** config.power,
        ),
        "logarithm before the bands": Say(
            "The logarithm comes before the bands, so that a band adds up logarithms. Strengths are added up; the "
            "logarithm of their sum comes last."
        ).to(_heard, gather=_logarithm_first, logarithm=lambda bands, config: bands),
        "floor as a minimum": Say(
            "The floor cuts off what is below it. It is added: then silence is finite, and what is faint still counts."
        ).to(_heard, logarithm=lambda bands, config: bands.clamp(min=config.floor).log()),
        "floor after the logarithm": Say(
            "The floor is added after the logarithm, which has been minus infinity by then."
        ).to(_heard, logarithm=lambda bands, config: bands.log() + config.floor),
        "window of the padded frame": Say(
            "The Hann window is as long as the FFT, so that a frame is faded in and never out. It is as long as the "
            "frame: `window_samples`."
        ).to(_heard, window=_long_window),
        "window that ends in zero": Say(
            "The window is symmetric: it begins and ends with zero. `hann_window` gives one period, in which the next "
            "zero belongs to the next period."
        ).to(
            _heard,
            window=lambda frames, config: frames * torch.hann_window(config.window_samples, periodic=False).to(frames),
        ),
        "rest filled up": Say("The last samples are filled up to one more frame. Only whole frames count.").to(
            _heard, cut=_with_the_rest
        ),
        "frames centered": Say(
            "There are zeros before the first sample and after the last, so that frames are centered on their times. "
            "Here frame 0 begins with sample 0."
        ).to(_heard, cut=_centred),
        "bands by frames": Say("Rows and columns are exchanged: one row per frame, one column per band.").to(
            lambda samples, config: _heard(samples, config).T
        ),
        "mean taken away": Say(
            "The mean of each frame is taken away from its bands, and with it how loud it is. Keep the values."
        ).to(
            _heard, logarithm=lambda bands, config: _logarithm(bands, config) - _logarithm(bands, config).mean(1, True)
        ),
    },
    hints=(
        "Six steps in a row, each a line at most: frames, window, FFT, magnitudes, bands, logarithm. Write down the "
        "shape after each.",
        "`samples.unfold(0, size, step)` gives the frames. `torch.fft.rfft(frames, n=config.fft_samples)` fills them "
        "up with zeros and gives complex numbers. `mel_filters(config)` has a column per band, in float64.",
        "After the magnitudes: `magnitudes**config.power @ mel_filters(config).to(magnitudes)`, plus `config.floor`, "
        "then `.log()`.",
    ),
)
