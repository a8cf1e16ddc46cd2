"""The device that computes, chosen once at the start of a notebook or a command."""

import torch

from gemini_workshop.errors import ConfigError


def pick_device(name: str = "auto") -> torch.device:
    """Choose the device to compute on: ``auto`` prefers CUDA, then Apple's MPS, then the CPU.

    Raises:
        ConfigError: the named device is not available on this machine.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, here in available.items() if here))
    kind = name.split(":")[0]
    if not available.get(kind, False):
        here = ", ".join(kind for kind, is_here in available.items() if is_here)
        raise ConfigError(f"device={name!r} is not available on this machine. Choose auto, or one of: {here}.")
    return torch.device(name)
