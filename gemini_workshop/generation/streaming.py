"""From a stream of tokens to a stream of text that never shows half a character or part of a stop string.

A token can end in the middle of a character, which then decodes to ``�``; and the last characters may be the beginning
of a stop string. Both are held back until the next tokens decide.
"""

from collections.abc import Iterable, Iterator, Sequence

from gemini_workshop.data.tokenizers import Tokenizer


class StopFilter:
    """Text goes in, and comes out as soon as it is certain that no stop string begins there.

    Args:
        skips_space: no stop string begins in white space at the very beginning.

    Attributes:
        stop: the stop string that was found; nothing comes out after it.
    """

    def __init__(self, stop_strings: Sequence[str], *, skips_space: bool = False) -> None:
        self.stop_strings = [string for string in stop_strings if string]
        self.skips_space = skips_space
        self.stop: str | None = None
        self._held = ""

    def push(self, text: str) -> str:
        """Take more text; return what can be shown now."""
        if self.stop is not None:
            return ""
        if self.skips_space:
            rest = text.lstrip()
            self.skips_space = not rest
            return text[: len(text) - len(rest)] + self.push(rest) if rest else text
        self._held += text
        found = [(self._held.find(string), string) for string in self.stop_strings if string in self._held]
        if found:
            end, self.stop = min(found)
            return self._release(end, forget=True)
        return self._release(len(self._held) - self._num_undecided())

    def finish(self) -> str:
        """No more text will come: return what was held back."""
        return self._release(len(self._held))

    def _release(self, end: int, *, forget: bool = False) -> str:
        shown, self._held = self._held[:end], "" if forget else self._held[end:]
        return shown

    def _num_undecided(self) -> int:
        """How many of the last characters may be the beginning of a stop string."""
        beginnings = (string[:length] for string in self.stop_strings for length in range(1, len(string)))
        return max((len(beginning) for beginning in beginnings if self._held.endswith(beginning)), default=0)


class TextStream:
    """Tokens go in, whole characters come out, up to a stop string.

    Args:
        stop_strings: the text ends before the first of them, wherever tokens begin and end.
        skips_space: no stop string begins in white space at the very beginning.

    Attributes:
        text: all that came out so far.
    """

    def __init__(self, tokenizer: Tokenizer, stop_strings: Sequence[str] = (), *, skips_space: bool = False) -> None:
        self.tokenizer = tokenizer
        self.text = ""
        self._filter = StopFilter(stop_strings, skips_space=skips_space)
        self._ids: list[int] = []  # the tokens of the last whole piece: some decode differently at a beginning
        self._num_shown = 0  # and how many they are; the tokens after them wait for the rest of a character

    @property
    def stop(self) -> str | None:
        """The stop string that ended the text."""
        return self._filter.stop

    def push(self, token: int) -> str:
        """Take one more token; return the text that is certain now."""
        self._ids.append(token)
        whole = self.tokenizer.decode(self._ids)
        return "" if whole.endswith("�") else self._show(self._filter.push(self._new_part(whole)))

    def finish(self) -> str:
        """No more tokens will come: return the text that was held back."""
        rest = self._new_part(self.tokenizer.decode(self._ids))
        return self._show(self._filter.push(rest) + self._filter.finish())

    def _new_part(self, whole: str) -> str:
        before = self.tokenizer.decode(self._ids[: self._num_shown])
        self._ids = self._ids[self._num_shown :]
        self._num_shown = len(self._ids)
        return whole[len(before) :]

    def _show(self, text: str) -> str:
        self.text += text
        return text


def text_pieces(ids: Iterable[int], tokenizer: Tokenizer, stop_strings: Sequence[str] = ()) -> Iterator[str]:
    """Decode a stream of tokens piece by piece; joined, the pieces are the decoded whole up to a stop string."""
    stream = TextStream(tokenizer, stop_strings)
    for token in ids:
        if piece := stream.push(token):
            yield piece
        if stream.stop is not None:
            return
    if piece := stream.finish():
        yield piece
