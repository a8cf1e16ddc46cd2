"""A text or a conversation as what the model reads: token ids, the media among them, and where an answer ends."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from gemini_workshop.data.conversations.templates import ChatTemplate, Message, Role
from gemini_workshop.data.media.documents import AudioPart, ImagePart, Part, TextPart
from gemini_workshop.data.media.encoding import MediaEncoder
from gemini_workshop.data.media.images import opened_image, pixels_of
from gemini_workshop.data.media.wav import decode_wav
from gemini_workshop.data.tokenizers import prompt_ids, start_ids, stop_ids
from gemini_workshop.generation.ask import answer_ends, media_of
from gemini_workshop.generation.chat import FORMATS, Conversation, Turn
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.reading import shortened
from gemini_workshop.serving.errors import Refusal
from gemini_workshop.serving.protocol import AudioContent, Content, ImageContent, MessageBody, TextContent, Texts
from gemini_workshop.serving.served import Served

MAX_PIXELS = 4_000_000  # of an image: decoded, it takes 12 bytes per pixel
DATA_ADDRESS = re.compile(r"data:image/[\w.+-]+;base64,")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """What the model reads, and where its answer ends.

    Args:
        skips_space: no stop string begins in white space at the very beginning of the answer.
    """

    ids: Sequence[int]
    stop_ids: set[int]
    stop_strings: Sequence[str] = ()
    skips_space: bool = False
    media: Media | None = field(default=None, repr=False)


def prompts_of(texts: Texts, served: Served) -> list[Prompt]:
    """Texts to continue, each read as the beginning of a document; ids are read as they are.

    Raises:
        Refusal: there is none.
    """
    if isinstance(texts, str):
        texts = [texts]
    if not texts:
        raise Refusal(400, "prompt=[] holds no text. Give a text, or a list of at least one.", param="prompt")
    if isinstance(texts[0], int):
        texts = cast("list[list[int]]", [texts])
    ends = stop_ids(served.tokenizer)
    ids = [prompt_ids(served.tokenizer, text) if isinstance(text, str) else cast("list[int]", text) for text in texts]
    return [Prompt(ids=each, stop_ids=ends) for each in ids]


def prompt_of(messages: Sequence[MessageBody], served: Served) -> Prompt:
    """A conversation up to where the model's next turn begins.

    Raises:
        WorkshopError: its roles have no order that a conversation can have, or a medium cannot be read.
        Refusal: the last turn is the model's own, or holds what the model cannot read.
    """
    if messages[-1].role != "user":
        raise Refusal(
            400,
            f"The last message is from {messages[-1].role!r}, and the model answers a user. End with a user's message.",
            param="messages",
        )
    if served.format == "question":
        return _question(messages, served)
    turns = [Message(cast("Role", _role(message)), _text(message)) for message in messages]
    if served.template is not None:
        return _templated(turns, served.template, served)
    return _continued(messages, served)


def _templated(turns: list[Message], template: ChatTemplate, served: Served) -> Prompt:
    """By the marks that the model was taught; what comes before a text is what its tokenizer says."""
    _, *ids = template.encode(turns, served.tokenizer, add_generation_prompt=True).ids
    ends = {*stop_ids(served.tokenizer), served.tokenizer.special_tokens[template.end]}
    return Prompt(ids=[*start_ids(served.tokenizer), *ids], stop_ids=ends)


def _continued(messages: Sequence[MessageBody], served: Served) -> Prompt:
    """As ``gemini-workshop chat`` does it for a model without a template: one text, which the model continues."""
    system = "\n\n".join(_text(message) for message in messages if _role(message) == "system")
    conversation = Conversation(served.format, system)
    for message in messages:
        if _role(message) != "system":
            conversation.turns.append(Turn("model" if message.role == "assistant" else "user", _text(message)))
    return Prompt(
        ids=prompt_ids(served.tokenizer, conversation.text()),
        stop_ids=stop_ids(served.tokenizer),
        stop_strings=FORMATS[served.format].stop_strings,
        skips_space=True,
    )


def _question(messages: Sequence[MessageBody], served: Served) -> Prompt:
    """The last message alone, as in training, after what the system says."""
    parts: list[Part] = [TextPart(text=_text(message)) for message in messages if _role(message) == "system"]
    content = messages[-1].content
    parts += [TextPart(text=content)] if isinstance(content, str) else [_part(piece) for piece in content]
    encoded = MediaEncoder(served.tokenizer, media_of(served.model)).question(parts)
    has_media = any(not isinstance(part, TextPart) for part in parts)
    ends = answer_ends(served.tokenizer)
    return Prompt(ids=encoded.ids, stop_ids=ends, media=encoded.media if has_media else None)


def _role(message: MessageBody) -> str:
    return "system" if message.role == "developer" else message.role


def _text(message: MessageBody) -> str:
    """What a message says, if that is all it holds."""
    if isinstance(message.content, str):
        return message.content
    other = [piece.type for piece in message.content if not isinstance(piece, TextContent)]
    if other:
        raise Refusal(
            400,
            f"The message holds {other[0]!r}, and here only text is read. Send text, or choose a checkpoint that reads "
            "images and put them into the last user's message.",
            param="messages",
        )
    return "".join(piece.text for piece in message.content if isinstance(piece, TextContent))


def _part(piece: Content) -> Part:
    match piece:
        case TextContent(text=text):
            return TextPart(text=text)
        case ImageContent(image_url=address):
            return _image(address.url)
        case AudioContent(input_audio=audio):
            samples, rate = decode_wav(_decoded(audio.data, "input_audio"), "The audio")
            return AudioPart(samples=samples, sample_rate=rate)


def _image(address: str) -> ImagePart:
    """An image that the request itself holds. No other address is followed: neither to a file nor into the network."""
    start = DATA_ADDRESS.match(address)
    if start is None:
        raise Refusal(
            400,
            f"The image_url is {shortened(address)!r}, and no address is followed here. "
            "Put the image itself into the request: data:image/png;base64,...",
            param="messages",
        )
    content = _decoded(address[start.end() :], "image_url")
    with opened_image(content, "The image", MAX_PIXELS) as file:
        return ImagePart(image=pixels_of(file))


def _decoded(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(
            400,
            f"The {name} begins with {shortened(text)!r}, which is not base64: {error}. Encode the bytes of the file.",
            param="messages",
        ) from None
