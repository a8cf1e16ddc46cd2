"""Mix several corpora into one stream, each with its share of the text."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from gemini_workshop.errors import DataError


class Mixture:
    """An endless stream of (name, document) in which every corpus has its share of the characters.

    The next document comes from the corpus that lags most behind its share. Nothing is drawn at random: the shares
    hold at every moment, up to one document a corpus, and where the stream stands is told by a few numbers. A corpus
    that ends begins anew; :attr:`epochs` tells how often, and a large number there is a warning.

    Args:
        corpora: for each name a function that opens the corpus from its beginning.
        weights: for each name its weight; only their proportions count.

    Raises:
        DataError: the names differ, a weight is not positive, or (while mixing) a corpus is empty.

    Example:
        >>> from itertools import islice
        >>> stream = Mixture({"a": lambda: ["a1", "a2"], "b": lambda: ["b1"]}, {"a": 2.0, "b": 1.0})
        >>> [document for _, document in islice(stream, 6)]
        ['a1', 'b1', 'a2', 'a1', 'b1', 'a2']
    """

    def __init__(self, corpora: Mapping[str, Callable[[], Iterable[str]]], weights: Mapping[str, float]) -> None:
        if not corpora or corpora.keys() != weights.keys():
            raise DataError(f"Corpora {list(corpora)}, but weights {list(weights)}. Give every corpus one weight.")
        for name, weight in weights.items():
            if not weight > 0:
                raise DataError(f"weights[{name!r}]={weight} is not positive. Leave the corpus out, or choose > 0.")
        self.corpora, self.weights = corpora, weights
        self.characters = dict.fromkeys(corpora, 0)
        self.epochs = dict.fromkeys(corpora, 0)
        self._places = dict.fromkeys(corpora, 0)  # documents read in this epoch
        self._streams: dict[str, Iterator[str]] = {}

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Itself: the stream goes on where it stands."""
        return self

    def __next__(self) -> tuple[str, str]:
        """The name of the corpus that lags most, and its next document."""
        name = min(self.corpora, key=lambda name: self.characters[name] / self.weights[name])
        document = self._read(name)
        self.characters[name] += len(document)
        return name, document

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands, as plain data."""
        return {"characters": self.characters.copy(), "epochs": self.epochs.copy(), "places": self._places.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another mixture of the same corpora stood; what was read is skipped when next needed.

        Raises:
            DataError: the state is of other corpora.
        """
        if state["places"].keys() != self.corpora.keys():
            raise DataError(f"The state is of corpora {list(state['places'])}, not {list(self.corpora)}.")
        self.characters, self.epochs = dict(state["characters"]), dict(state["epochs"])
        self._places = dict(state["places"])
        self._streams.clear()

    def _read(self, name: str) -> str:
        if name not in self._streams:
            self._streams[name] = iter(self.corpora[name]())
            for _ in range(self._places[name]):
                next(self._streams[name], None)
        document = next(self._streams[name], None)
        if document is not None:
            self._places[name] += 1
            return document
        if self._places[name] == 0:
            raise DataError(f"The corpus {name} is empty. Leave it out of the mixture.")
        del self._streams[name]
        self._places[name] = 0
        self.epochs[name] += 1
        return self._read(name)
