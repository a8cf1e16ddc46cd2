"""A question as token ids in its plainest form: what lesson 13 builds. :mod:`.encoding` does it for files.

end of text · text · image start, a place for each patch, image end · text · ... · end of turn
"""

from collections.abc import Callable, Mapping, Sequence


def question_ids(
    parts: Sequence[str | tuple[str, int]], encode: Callable[[str], list[int]], marks: Mapping[str, int]
) -> list[int]:
    """The token ids of a question, with the places that it holds for its images and audio.

    Args:
        parts: in reading order: a text, or a medium ("image" or "audio") with the number of its places.
        encode: from a text to its tokens.
        marks: ids of "end_of_text", "turn_end", and of "image_start", "image", "image_end", the same for "audio".

    Example:
        >>> marks = {"end_of_text": 0, "turn_end": 1, "image_start": 2, "image": 3, "image_end": 4}
        >>> question_ids([("image", 2), "hm"], lambda text: [ord(letter) for letter in text], marks)
        [0, 2, 3, 3, 4, 104, 109, 1]
    """
    ids = [marks["end_of_text"]]
    for part in parts:
        if isinstance(part, str):
            ids += encode(part)
        else:
            kind, num_places = part
            ids += [marks[f"{kind}_start"], *[marks[kind]] * num_places, marks[f"{kind}_end"]]
    return [*ids, marks["turn_end"]]
