"""The ids of one word, and a memory of those found before; merges to the bytes of tokens, and back."""

import heapq
from collections.abc import Callable, Mapping, Sequence

from gemini_workshop.data.tokenizers.bpe import NUM_BYTES, Pair
from gemini_workshop.errors import DataError

BYTES_IN_ORDER = bytes(range(NUM_BYTES))
MOST_TOKEN_BYTES = 2**20


def merge_word(word: bytes, ranks: Mapping[bytes, int]) -> list[int]:
    """Of all neighbours that together are a token, join those of the lowest rank, the leftmost first; repeat.

    A heap of rank and place keeps the work near the length of the word, even for a word of a megabyte.

    Args:
        ranks: the id of each token, every single byte among them. Lower ids were learned earlier.

    Example:
        >>> merge_word(b"abc", {b"a": 0, b"b": 1, b"c": 2, b"bc": 3, b"ab": 4, b"abc": 5})
        [5]
    """
    length = len(word)
    rank_of = ranks.get
    end_of = list(range(1, length + 1))  # where the token that starts here ends
    start_of = list(range(length))  # where the token whose last byte this is starts
    heap = [rank * length + i for i in range(length - 1) if (rank := rank_of(word[i : i + 2])) is not None]
    heapq.heapify(heap)
    while heap:
        rank, start = divmod(heapq.heappop(heap), length)
        middle = end_of[start]
        if not start < middle < length:
            continue  # this token was joined to the one before it, or is the last
        end = end_of[middle]
        if rank_of(word[start:end]) != rank:
            continue  # one of the two has grown since
        end_of[start], end_of[middle], start_of[end - 1] = end, 0, start
        if end < length and (rank := rank_of(word[start : end_of[end]])) is not None:
            heapq.heappush(heap, rank * length + start)
        if start and (rank := rank_of(word[start_of[start - 1] : end])) is not None:
            heapq.heappush(heap, rank * length + start_of[start - 1])
    ids = []
    start = 0
    while start < length:
        ids.append(ranks[word[start : end_of[start]]])
        start = end_of[start]
    return ids


class Memory(dict[bytes, bytes]):
    """Remembers the packed ids of each piece of text, up to a number of pieces; then it starts afresh."""

    MAX_PIECES = 500_000
    MAX_PIECE_BYTES = 64  # longer ones seldom come again

    def __init__(self, encode: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self.encode = encode

    def __missing__(self, piece: bytes) -> bytes:
        packed = self.encode(piece)
        if len(piece) <= self.MAX_PIECE_BYTES:
            if len(self) >= self.MAX_PIECES:
                self.clear()
            self[piece] = packed
        return packed

    def __reduce__(self) -> tuple[type["Memory"], tuple[Callable[[bytes], bytes]]]:
        return type(self), (self.encode,)  # another process starts without memories


def tokens_of(merges: Mapping[Pair, int], byte_order: bytes = BYTES_IN_ORDER) -> list[bytes]:
    r"""The bytes of each id.

    Raises:
        DataError: a token would be longer than any that is learned, as when every merge doubles the one before it.

    Example:
        >>> tokens_of({(108, 111): 256, (256, 119): 257})[254:]
        [b'\xfe', b'\xff', b'lo', b'low']
    """
    tokens = [bytes([byte]) for byte in byte_order]
    for left, right in merges:
        if len(tokens[left]) + len(tokens[right]) > MOST_TOKEN_BYTES:
            raise DataError(f"The merge of {left} and {right} makes a token of more than {MOST_TOKEN_BYTES} bytes.")
        tokens.append(tokens[left] + tokens[right])
    return tokens


def merges_of(tokens: Sequence[bytes]) -> dict[Pair, int]:
    """The pair behind each token beyond the bytes: its bytes, merged by earlier tokens only.

    Example:
        >>> merges_of([*(bytes([i]) for i in range(256)), b"lo", b"low"])
        {(108, 111): 256, (256, 119): 257}
    """
    merges: dict[Pair, int] = {}
    earlier = {token: i for i, token in enumerate(tokens[:NUM_BYTES])}
    for new_id, token in enumerate(tokens[NUM_BYTES:], start=NUM_BYTES):
        left, right = merge_word(token, earlier)
        merges[left, right] = earlier[token] = new_id
    return merges
