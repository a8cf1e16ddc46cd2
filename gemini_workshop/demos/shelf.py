"""The models of the demo, each loaded when it is first asked for.

Several visitors share a model, and some explorers change it for a moment: they switch heads off, or record what the
routers decide. So whoever computes with a model holds its lock, a chat for one token at a time.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gemini_workshop.errors import WorkshopError, unknown_name
from gemini_workshop.paths import PACKAGE

if TYPE_CHECKING:
    from gemini_workshop.serving.served import Served


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model, its tokenizer and how one talks to it; compute with it only while holding ``lock``."""

    served: "Served"
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)


class Shelf:
    """Models by the names that the page shows.

    Args:
        checkpoints: names of bundled checkpoints and folders; the first one is shown first.

    Raises:
        WorkshopError: there is nothing of such a name.
    """

    def __init__(self, checkpoints: Sequence[str], device: str = "cpu") -> None:
        for checkpoint in checkpoints:
            if not (Path(checkpoint).is_dir() or (PACKAGE / "checkpoints" / checkpoint).is_dir()):
                from gemini_workshop.checkpoint import find_checkpoint

                find_checkpoint(checkpoint)  # which says what there is instead
        self.device = device
        self.checkpoints = {_name_of(checkpoint): checkpoint for checkpoint in checkpoints}
        if len(self.checkpoints) < len(checkpoints):
            raise WorkshopError(f"Two of {', '.join(checkpoints)} have one name. Rename a folder, or leave one out.")
        self._loaded: dict[str, Loaded] = {}
        self._loading = threading.Lock()

    @property
    def names(self) -> list[str]:
        """What the models are called."""
        return list(self.checkpoints)

    def get(self, name: str) -> Loaded:
        """A model by its name, loaded if need be.

        Raises:
            WorkshopError: there is none of this name, or its checkpoint cannot be read.
        """
        if name not in self.checkpoints:
            raise WorkshopError(unknown_name("model", str(name), self.names))
        with self._loading:
            if name not in self._loaded:
                from gemini_workshop.checkpoint import load_pretrained
                from gemini_workshop.devices import pick_device
                from gemini_workshop.serving.served import served

                model, tokenizer = load_pretrained(self.checkpoints[name], pick_device(self.device))
                self._loaded[name] = Loaded(served(model, tokenizer, name))
            return self._loaded[name]


def _name_of(checkpoint: str) -> str:
    return Path(checkpoint).resolve().name
