"""The Python of docs/generation.md runs, one block after the other."""

import dataclasses
import re

from gemini_workshop.config import GenerationConfig
from tests.clone import TOP


def test_every_block_of_python_runs_and_the_rule_holds(capsys):
    page = (TOP / "docs" / "generation.md").read_text("utf-8")
    namespace: dict[str, object] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for block in blocks:
        exec(block, namespace)
    assert len(blocks) == 3
    assert re.search(r" [0-9]{1,3}\n$", capsys.readouterr().out)


def test_the_table_of_options_is_that_of_the_configuration():
    page = (TOP / "docs" / "generation.md").read_text("utf-8")
    for field in dataclasses.fields(GenerationConfig):
        assert f"| `--{field.name.replace('_', '-')}` | {field.metadata['help']} |\n" in page
