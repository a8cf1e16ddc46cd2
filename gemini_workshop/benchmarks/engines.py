"""The same model in three engines: ours, transformers and llama.cpp. Do they write the same text?

The checkpoint is exported as a user would, each engine reads the files, and all continue ten prompts with the most
likely tokens. An engine that is not installed is left out by name.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from gemini_workshop.benchmarks.llama import LlamaCpp
from gemini_workshop.benchmarks.llama import is_installed as has_llama_cpp
from gemini_workshop.checkpoint import find_checkpoint, load_pretrained
from gemini_workshop.config import GenerationConfig
from gemini_workshop.exchange.gguf import export_gguf
from gemini_workshop.exchange.huggingface import export_huggingface
from gemini_workshop.generation.decode import generate_text
from gemini_workshop.tables import table

Writer = Callable[[str], str]
PROMPTS = (
    "Once upon a time",
    "The dragon was sad because",
    "Lily and her mom went to the park.",
    "Tom's 12 dogs",
    "One day, a big",
    '"Hello," said the frog.',
    "The little",
    "Mia saw a naïve cat 🙂",
    "It was raining.\n\nThe boy",
    "  Two spaces",
)
SHOWN_CHARACTERS = 48


def report(checkpoint: str = "stories-small", max_new_tokens: int = 60, prompts: Sequence[str] = PROMPTS) -> str:
    """A line per prompt: whether each engine wrote the text that ours did.

    Raises:
        ConfigError: one of the engines cannot compute the model; the message names what it cannot.
    """
    with tempfile.TemporaryDirectory() as folder:
        engines, left_out = _engines(checkpoint, Path(folder), max_new_tokens)
        texts = {name: [write(prompt) for prompt in prompts] for name, write in engines.items()}
    ours = texts.pop("ours")
    rows = [["prompt", *texts]]
    for i, prompt in enumerate(prompts):
        verdicts = ["equal" if theirs[i] == ours[i] else "differs" for theirs in texts.values()]
        rows.append([prompt.replace("\n", " ")[:SHOWN_CHARACTERS], *verdicts])
    equal = {name: sum(map(str.__eq__, theirs, ours)) for name, theirs in texts.items()}
    rows.append(["equal texts", *(f"{number} of {len(prompts)}" for number in equal.values())])
    title = f"{checkpoint}: {max_new_tokens} most likely tokens after each prompt, compared with our own text"
    return "\n".join([table(rows, title), *left_out])


def _engines(checkpoint: str, folder: Path, max_new_tokens: int) -> tuple[dict[str, Writer], list[str]]:
    """What continues a prompt, by engine; and lines about those that are not installed."""
    found = find_checkpoint(checkpoint)
    model, tokenizer = load_pretrained(checkpoint)
    config = GenerationConfig(max_new_tokens=max_new_tokens, temperature=0)
    engines: dict[str, Writer] = {"ours": lambda prompt: "".join(generate_text(model, tokenizer, prompt, config))}
    left_out = []
    if find_spec("transformers"):
        export_huggingface(found, folder / "exported")
        engines["transformers"] = _transformers(folder / "exported", max_new_tokens)
    else:
        left_out.append("Left out: transformers, not installed. pip install transformers")
    if has_llama_cpp() and find_spec("gguf"):
        export_gguf(found, folder / "model.gguf")
        llama = LlamaCpp(folder / "model.gguf")
        engines["llama.cpp"] = lambda prompt: llama.complete(prompt, max_new_tokens)
    else:
        left_out.append('Left out: llama.cpp, not installed. pip install "gemini-from-scratch[engines]"')
    return engines, left_out


def _transformers(folder: Path, max_new_tokens: int) -> Writer:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)

    @torch.no_grad()
    def write(prompt: str) -> str:
        batch = tokenizer(prompt, return_tensors="pt")
        ids = model.generate(**batch, max_new_tokens=max_new_tokens)[0, batch["input_ids"].shape[1] :]
        return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    return write


if __name__ == "__main__":
    sys.stdout.write(report(sys.argv[1] if len(sys.argv) > 1 else "stories-small") + "\n")
