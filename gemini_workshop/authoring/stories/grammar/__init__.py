"""The words of the stories, in files: cast.yaml, words.yaml, facts.yaml and plots.yaml."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def read_grammar(name: str) -> dict[str, Any]:
    """The content of a file of this folder."""
    return yaml.safe_load(Path(__file__).with_name(f"{name}.yaml").read_text("utf-8"))
