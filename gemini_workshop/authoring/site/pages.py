"""Which file of the repository becomes which page of the site, and in which order the sidebar lists them."""

from pathlib import Path, PurePosixPath

GUIDES = {
    "Take the course": ("course", "installation", "troubleshooting", "faq", "glossary"),
    "Use the package": (
        "data",
        "tokenizers",
        "training",
        "multimodal",
        "finetuning",
        "generation",
        "serving",
        "demo",
        "evaluation",
        "exchange",
        "scaling",
        "budget",
    ),
    "Give the course": ("workshop_guide", "room", "bundle", "grading"),
    "Background": ("additional_resources", "paper_references", "architecture", "authoring", "decisions"),
}
"""The pages of ``docs/``, by the caption above them. A test fails when a page of ``docs/`` is not here."""

OTHERS = {
    "README.md": "index",
    "CONTRIBUTING.md": "about/contributing",
    "CHANGELOG.md": "about/changelog",
    "docs/LICENSE.md": "about/licence",
    "slides/README.md": "slides/index",
    "gemini_workshop/checkpoints/stories-small/MODEL_CARD.md": "models/stories-small",
    "gemini_workshop/checkpoints/mini-gemini/MODEL_CARD.md": "models/mini-gemini",
}
"""Pages that are written elsewhere, by their path in the repository."""

CAPTIONS = {
    "Learn": ("lessons/index", "gallery/index", "slides/index"),
    **{caption: tuple(f"guides/{name}" for name in names) for caption, names in GUIDES.items()},
    "Reference": ("api/gemini_workshop/index", "models/index"),
    "About": ("about/changelog", "about/contributing", "about/licence"),
}
"""What the sidebar lists, by caption."""

HIDDEN = ("exercises/lesson_*", "authoring", "cli", "__main__.py")
"""What the API reference leaves out of the package: answers and their known mistakes, and what only we run."""


def written_pages() -> dict[str, str]:
    """The site's page of every Markdown file that is on it, by its path in the repository."""
    guides = {f"docs/{name}.md": f"guides/{name}" for names in GUIDES.values() for name in names}
    return OTHERS | guides


def lesson_page(notebook: Path) -> str:
    """The page of a lesson, from its notebook or its source: ``lessons/02_attention_mechanism``."""
    return f"lessons/{notebook.stem.removesuffix('_solution').removesuffix('_starter')}"


def api_page(path: PurePosixPath) -> str | None:
    """The page of the API reference about a module or a folder of the package, if there is one."""
    inside = path.relative_to("gemini_workshop") if path.is_relative_to("gemini_workshop") else None
    if inside is None or path.suffix not in ("", ".py") or any(_within(inside, pattern) for pattern in HIDDEN):
        return None
    return f"api/{path.with_suffix('').as_posix().removesuffix('/__init__')}/index"


def _within(path: PurePosixPath, pattern: str) -> bool:
    return any(place.match(pattern) for place in (path, *path.parents))
