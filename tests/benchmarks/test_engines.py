"""The same text in every engine that is installed; the others are left out by name."""

import re
from importlib.util import find_spec

from gemini_workshop.benchmarks import engines

PROMPTS = engines.PROMPTS[:2]


def test_every_engine_that_is_installed_writes_our_text():
    text = engines.report(max_new_tokens=8, prompts=PROMPTS)
    title, header, *lines = text.splitlines()
    assert title.startswith("stories-small: 8 most likely tokens after each prompt")
    installed = ["transformers", *(["llama.cpp"] if find_spec("xllamacpp") and find_spec("gguf") else [])]
    assert re.split(r"  +", header.strip()) == ["prompt", *installed]
    for prompt, line in zip(PROMPTS, lines, strict=False):
        assert re.split(r"  +", line) == [prompt, *["equal"] * len(installed)]
    assert re.split(r"  +", lines[2]) == ["equal texts", *["2 of 2"] * len(installed)]
    assert ("Left out: llama.cpp" in text) == (len(installed) == 1)


def test_a_text_that_differs_is_called_so_and_an_absent_engine_is_named(monkeypatch):
    theirs = {"ours": str.upper, "other": str.lower}
    monkeypatch.setattr(engines, "_engines", lambda *_: (theirs, ["Left out: llama.cpp"]))
    lines = engines.report(prompts=["1", "a"]).splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["1", "equal"],
        ["a", "differs"],
        ["equal", "texts", "1", "of", "2"],
        ["Left", "out:", "llama.cpp"],
    ]
