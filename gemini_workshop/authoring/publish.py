"""From a run to a checkpoint that ships: weights in float16, and a card whose every number is computed here.

    python -m gemini_workshop.authoring.publish RUN FOLDER --command "gemini-workshop train ..."

float16 rather than bfloat16: weights are far from its limits (65504, and 6e-8 at the small end), and it keeps three
bits more of each.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from gemini_workshop.authoring.chat_card import chat_card
from gemini_workshop.authoring.task_card import beginning, task_card
from gemini_workshop.checkpoint import Checkpoint, find_checkpoint, load_pretrained, restore_weights, save_model
from gemini_workshop.data.batches.text import Text
from gemini_workshop.data.conversations.folder import Conversations
from gemini_workshop.data.corpora import corpus_files, find_corpus
from gemini_workshop.data.tasks.mixture import TaskMixture
from gemini_workshop.evaluation.floors import bits_per_byte, entropy_floors
from gemini_workshop.files import sha256_of
from gemini_workshop.generation.decode import generate_text
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.evaluate import evaluate
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.run import text_of

SAMPLE_PROMPTS = ("Once upon a time", "The little dog was sad because", "Lily and her mom went to the park.")


def publish(run: Path, folder: Path, command: str) -> None:
    """Write the newest checkpoint of a run as one that ships, then measure what was written.

    Args:
        command: the command line that made the run, for the card.
    """
    checkpoint = find_checkpoint(run)
    source = json.loads((run / "run.json").read_text("utf-8"))
    export(checkpoint, folder)
    text = text_of(run)
    if isinstance(text, TaskMixture):
        card = task_card(checkpoint, folder, text, source, command)
    elif isinstance(text, Conversations):
        card = chat_card(checkpoint, folder, text, source, command)
    else:
        card = model_card(checkpoint, folder, text, source, command)
    (folder / "MODEL_CARD.md").write_text(card, "utf-8", newline="\n")


def export(checkpoint: Checkpoint, folder: Path) -> None:
    """Write weights (float16), configuration, tokenizer and their sums."""
    weights = {name: tensor.to(torch.float16) for name, tensor in checkpoint.weights.items()}
    save_model(folder, weights, checkpoint.config, checkpoint.tokenizer)


def model_card(checkpoint: Checkpoint, folder: Path, text: Text, source: dict[str, str], command: str) -> str:
    """The card of an exported checkpoint, in Markdown.

    Args:
        source: what ``run.json`` says.
    """
    config, validation, num_tokens = checkpoint.config, text.validation, text.train.num_tokens
    model, _ = load_pretrained(folder)
    seen = checkpoint.step * config.training.batch_size * config.model.context_tokens
    passes = seen / num_tokens
    return "\n".join(
        [
            f"# {folder.name}",
            "",
            f"A decoder of {model.num_parameters():,} parameters that writes short stories in simple English. It was "
            "made for teaching: to look inside, and to talk to within a second.",
            "",
            "## Data",
            "",
            *_data(source["corpus"], source["size"]),
            f"Trained on {num_tokens:,} tokens; {validation.num_tokens:,} tokens "
            f"({validation.num_bytes:,} bytes) of other documents were kept for validation, chosen by a hash of each "
            "document's text. What is read twice counts twice.",
            "",
            "## Recipe",
            "",
            *(line for each in command.splitlines() for line in (f"`{each}`", "")),
            *beginning(source),
            f"{checkpoint.step:,} steps of {config.training.batch_size} windows of {config.model.context_tokens} "
            f"tokens: {seen:,} tokens, {passes:.1f} times through the text. Every setting is in `config.yaml`; the "
            "weights are stored in float16.",
            "",
            "## Validation",
            "",
            *_losses(model, checkpoint, text),
            "All numbers and samples of this card: `python -m gemini_workshop.authoring.publish RUN FOLDER`.",
            "",
            "## Samples",
            "",
            f"Not selected: seeds 0, 1, 2 at the default settings (temperature {config.generation.temperature}, top-p "
            f"{config.generation.top_p}).",
            "",
            *(line for seed, prompt in enumerate(SAMPLE_PROMPTS) for line in _sample(folder, prompt, seed)),
            "## Limits",
            "",
            "It knows the world of its stories and nothing else. It forgets who is who within a few sentences, "
            "contradicts itself, and repeats the stereotypes of its text. It answers no questions and follows no "
            "instructions. Use it to learn how such models work, for nothing else.",
            "",
        ]
    )


def _losses(model: Transformer, checkpoint: Checkpoint, text: Text) -> list[str]:
    """The table of losses on the validation text, of the model as it ships, before rounding, and of simple models."""
    config, validation = checkpoint.config, text.validation
    trained = Transformer(config.model).eval()
    restore_weights(trained, checkpoint)
    accelerate(trained)
    nats = validation_nats(model, checkpoint, text)
    floors = entropy_floors(validation)
    bits = bits_per_byte(nats, validation.num_tokens - 1, validation.num_bytes)
    return [
        "| | nats per token |",
        "|---|---|",
        *(f"| {name} model, plug-in entropy of the validation text | {value:.3f} |" for name, value in floors.items()),
        f"| **this model, as shipped (float16)** | **{nats:.3f}** |",
        f"| the same before rounding (float32) | {validation_nats(trained, checkpoint, text):.3f} |",
        "",
        f"{bits:.3f} bits per byte. Measured in float32 on the whole validation text, in windows of "
        f"{config.model.context_tokens} tokens end to end, ends of text counted as tokens. The plug-in entropies "
        "use the validation text's own frequencies: no unigram or bigram model does better on it.",
        "",
    ]


def _data(corpus_name: str, size: str) -> list[str]:
    """For each corpus where it comes from, how often it was read, and its files with their sums."""
    lines = []
    for name, times in Counter(corpus_name.split("+")).items():
        corpus = find_corpus(name)
        often = f" Every document appears in the text {times} times." if times > 1 else ""
        lines += [f"**{corpus.title}** ({corpus.source}), licence: {corpus.licence}. {corpus.about}{often}", ""]
        lines += [f"- `{path.name}` sha256 `{sha256_of(path)}`" for path in corpus_files(name, size)] + [""]
    return lines


def validation_nats(model: Transformer, checkpoint: Checkpoint, text: Text) -> float:
    """The loss on the whole validation text in float32, in nats per token."""
    objective = NextTokenPrediction(model, replace(checkpoint.config.training, precision="fp32"))
    return evaluate(objective, text.source(checkpoint.config).validation())


def _sample(folder: Path, prompt: str, seed: int) -> list[str]:
    checkpoint = find_checkpoint(folder)
    model, tokenizer = load_pretrained(folder)
    config = replace(checkpoint.config.generation, seed=seed)
    story = prompt + "".join(generate_text(model, tokenizer, prompt, config))
    return [*(f"> {line}".rstrip() for line in story.splitlines()), ""]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder of a run")
    parser.add_argument("folder", type=Path, help="where to write the checkpoint")
    parser.add_argument("--command", required=True, help="the command that made the run")
    values = parser.parse_args(arguments)
    publish(values.run, values.folder, values.command)


if __name__ == "__main__":
    main()
