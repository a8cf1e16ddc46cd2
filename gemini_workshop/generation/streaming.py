"""From a stream of tokens to a stream of text, which never shows half a character or a piece of a stop string.

A token can end in the middle of a character, which then decodes to ``�``; and at the end of a text may stand what
could become a stop string. Both are held back until the next tokens settle the matter.
"""

from collections.abc import Iterable, Iterator, Sequence

from gemini_workshop.data.tokenizer import Tokenizer


class TextStream:
    """Tokens go in, text comes out, as early as it is certain.

    Args:
        stop_strings: the text ends before the first of them, wherever tokens begin and end.

    Attributes:
        text: all that came out so far.
        stop: the stop string that ended the text.
    """

    def __init__(self, tokenizer: Tokenizer, stop_strings: Sequence[str] = ()) -> None:
        self.tokenizer = tokenizer
        self.stop_strings = [string for string in stop_strings if string]
        self.text = ""
        self.stop: str | None = None
        self._held = ""  # decoded, but it may be the beginning of a stop string
        self._ids: list[int] = []  # the tokens of the last whole piece, for some decode differently at the beginning
        self._num_decoded = 0  # and how many they are; the tokens after them wait for the rest of a character

    def push(self, token: int) -> str:
        """Take one more token; return the text that is certain now. After a stop string there is no more."""
        self._ids.append(token)
        return self._show(self._decoded(is_end=False), is_end=False)

    def finish(self) -> str:
        """No more tokens will come: return the text that was held back."""
        return self._show(self._decoded(is_end=True), is_end=True)

    def _decoded(self, *, is_end: bool) -> str:
        whole = self.tokenizer.decode(self._ids)
        if whole.endswith("�") and not is_end:
            return ""
        before = self.tokenizer.decode(self._ids[: self._num_decoded])
        self._ids = self._ids[self._num_decoded :]
        self._num_decoded = len(self._ids)
        return whole[len(before) :]

    def _show(self, text: str, *, is_end: bool) -> str:
        if self.stop is not None:
            return ""
        text = self._held + text
        found = [(text.find(string), string) for string in self.stop_strings if string in text]
        if found:
            end, self.stop = min(found)
        else:
            end = len(text) if is_end else len(text) - self._num_undecided(text)
        self._held = text[end:]
        self.text += text[:end]
        return text[:end]

    def _num_undecided(self, text: str) -> int:
        """How many of the last characters may be the beginning of a stop string."""
        beginnings = (string[:length] for string in self.stop_strings for length in range(1, len(string)))
        return max((len(beginning) for beginning in beginnings if text.endswith(beginning)), default=0)


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
