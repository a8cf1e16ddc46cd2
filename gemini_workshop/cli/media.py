"""Options for files with images, audio and videos, and the parts of a prompt that they become."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from gemini_workshop.cli.options import refuse_together, with_options

if TYPE_CHECKING:
    from gemini_workshop.data.media.documents import Part


def _files(help: str) -> Any:
    return typer.Option(help=help, rich_help_panel="Images and audio")


@dataclass(kw_only=True, slots=True)
class MediaFiles:
    """The files that a question is about."""

    image: Annotated[list[Path] | None, _files("Ask about this image; can be repeated.")]
    audio: Annotated[list[Path] | None, _files("Ask about this wav file; can be repeated.")]
    video: Annotated[list[Path] | None, _files("Ask about this animation or folder of images; can be repeated.")]
    document: Annotated[Path | None, _files("Ask with text and media mixed, from a file of one document.")]

    def parts(self) -> "list[Part]":
        """All of them, read: images, then audio, then videos; or the parts of the document."""
        from gemini_workshop.data.media.reading import read_audio, read_document, read_image, read_video

        is_any = bool(self.image or self.audio or self.video)
        refuse_together({"--image, --audio or --video": is_any, "--document": self.document is not None})
        if self.document is not None:
            return list(read_document(self.document).parts)
        images, sounds = map(read_image, self.image or []), map(read_audio, self.audio or [])
        return [*images, *sounds, *map(read_video, self.video or [])]


def with_media_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command options for media; it gets them as its argument ``media``."""
    hints = get_type_hints(MediaFiles, include_extras=True, localns={"Part": Any})
    kind = inspect.Parameter.KEYWORD_ONLY
    options = [inspect.Parameter(name, kind, default=None, annotation=hint) for name, hint in hints.items()]
    return with_options(command, "media", MediaFiles, options)
