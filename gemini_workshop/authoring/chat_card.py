"""The card of a model that was taught to follow instructions; every number is measured here."""

from collections.abc import Sequence
from pathlib import Path

from gemini_workshop.authoring.instructions import Instruction, heldout_instructions
from gemini_workshop.checkpoint import Checkpoint, load_pretrained
from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.conversations.folder import Conversations
from gemini_workshop.data.conversations.templates import template_of
from gemini_workshop.evaluation.instructions import Asked, ask_all

NUM_ASKED, NUM_SHOWN = 400, 4


def chat_card(
    checkpoint: Checkpoint, folder: Path, conversations: Conversations, source: dict[str, str], command: str
) -> str:
    """The card of an exported checkpoint, in Markdown.

    Args:
        source: what ``run.json`` says; it names the model that the run began with.
    """
    config, asked = checkpoint.config, heldout_instructions(NUM_ASKED)
    found = {name: _answers(path, asked) for name, path in (("before", source["from"]), ("taught", folder))}
    model, _ = load_pretrained(folder)
    return "\n".join(
        [
            f"# {folder.name}",
            "",
            f"A decoder of {model.num_parameters():,} parameters that does as it is told, within a small world: short "
            "stories in simple English, questions about them, small sums. It was made for teaching.",
            "",
            "## Data",
            "",
            f"Began with `{source['from']}`, weights of sha256 `{source['from_sha256']}`; its data are on its card. "
            f"Learned from {len(conversations.train):,} instructions with answers of the workshop's own storyteller "
            "(gemini_workshop.authoring.instructions, CC BY 4.0).",
            "",
            "## Recipe",
            "",
            *(line for each in command.splitlines() for line in (f"`{each}`", "")),
            f"{checkpoint.step:,} steps of {config.training.batch_size} rows of {config.row_tokens} tokens. Every "
            "setting is in `config.yaml`; the weights are stored in float16.",
            "",
            "## Instructions obeyed",
            "",
            f"{NUM_ASKED} instructions that were not trained on, answered with the most likely tokens, judged by "
            "programs.",
            "",
            f"| kind | `{source['from']}` | **this model** | asked |",
            "|---|---|---|---|",
            *(_row(kind, asked, found) for kind in ["all", *dict.fromkeys(each.kind for each in asked)]),
            "",
            "The first ones, not selected:",
            "",
            *(line for each in found["taught"][:NUM_SHOWN] for line in _shown(each)),
            "All numbers of this card: `python -m gemini_workshop.authoring.publish RUN FOLDER`.",
            "",
            "## Limits",
            "",
            "It knows these kinds of instruction and nothing else, and makes things up. Use it to learn how such "
            "models work, for nothing else.",
            "",
        ]
    )


def _answers(path: str | Path, asked: Sequence[Instruction]) -> list[Asked]:
    model, tokenizer = load_pretrained(path)
    config = GenerationConfig(temperature=0.0, max_new_tokens=model.config.context_tokens)
    return ask_all(model, tokenizer, [(each.prompt, each.check) for each in asked], template_of(tokenizer), config)


def _row(kind: str, asked: Sequence[Instruction], found: dict[str, list[Asked]]) -> str:
    own = [i for i, each in enumerate(asked) if kind in (each.kind, "all")]
    shares = [sum(answers[i].is_right for i in own) / len(own) for answers in found.values()]
    return f"| {kind} | {shares[0]:.1%} | **{shares[1]:.1%}** | {len(own)} |"


def _shown(each: Asked) -> list[str]:
    def quoted(text: str) -> list[str]:
        return [f"> {line}".rstrip() for line in text.split("\n")]

    verdict = "obeyed" if each.is_right else "not obeyed"
    return [*quoted(f"**{each.prompt}**"), ">", *quoted(each.answer), "", f"({verdict})", ""]
