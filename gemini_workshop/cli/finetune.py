"""gemini-workshop finetune: teach a trained model to follow instructions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.options import Commands
from gemini_workshop.cli.train import Minutes, Settings, Threads

if TYPE_CHECKING:
    from gemini_workshop.data.conversations.reading import Conversation

app = Commands(no_args_is_help=True, help="Teach a trained model: instructions, all of it or by LoRA.")

INSTRUCTIONS = "instructions"
SHORT_RUN = ("optimizer=adamw", "schedule=linear", "final_rate_fraction=0.0", "warmup_steps=30", "batch_size=16")
"""What suits a short run that begins with a trained model; --set changes it."""
WHOLE, ADAPTED = ("learning_rate=0.001", "steps=600"), ("learning_rate=0.004", "steps=600", "lora_rank=8")

Beginning = Annotated[str, typer.Option("--from", help="The model to teach: one that ships, or the folder of a run.")]
Data = Annotated[
    str, typer.Option(help="Conversations, a .jsonl or .json file; or instructions, made by the storyteller.")
]
Template = Annotated[str, typer.Option(help="How turns are written: gemma or chatml.")]
Count = Annotated[int, typer.Option(min=10, max=1_000_000, help="How many instructions the storyteller makes.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the run. Default: runs/MODEL-METHOD.")]
Resume = Annotated[bool, typer.Option("--resume", help="Resume the run in --out.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@app.command()
def sft(
    beginning: Beginning = "stories-small",
    data: Data = INSTRUCTIONS,
    template: Template = "gemma",
    count: Count = 20_000,
    settings: Settings = None,
    minutes: Minutes = None,
    out: Out = None,
    resume: Resume = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Train all of a model on conversations.

    The user's turns are read, and only the model's are predicted. A line of a file is one conversation: {"messages":
    [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}, or {"instruction": ..., "output":
    ...}, or {"prompt": ..., "response": ...}. The marks of the template become tokens of the model, if it lacks them.

    Examples:

        gemini-workshop finetune sft

        gemini-workshop finetune sft --data my-chats.jsonl --set steps=200 --out runs/mine
    """
    _teach("sft", WHOLE, beginning, data, template, count, settings, minutes, out, resume, device, threads)


@app.command()
def lora(
    beginning: Beginning = "stories-small",
    data: Data = INSTRUCTIONS,
    template: Template = "gemma",
    count: Count = 20_000,
    settings: Settings = None,
    minutes: Minutes = None,
    out: Out = None,
    resume: Resume = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Train thin matrices beside a frozen model.

    As sft, but the model stays as it is, and beside each matrix of its blocks an update of low rank is trained. The
    run's checkpoints hold both; whatever reads them adds the updates to the matrices.

    Examples:

        gemini-workshop finetune lora

        gemini-workshop finetune lora --set lora_rank=4 --set lora_alpha=8 --data my-chats.jsonl
    """
    _teach("lora", ADAPTED, beginning, data, template, count, settings, minutes, out, resume, device, threads)


def _teach(
    method: str,
    defaults: tuple[str, ...],
    beginning: str,
    data: str,
    template: str,
    count: int,
    settings: list[str] | None,
    minutes: float | None,
    out: Path | None,
    resume: bool,
    device: str,
    threads: int | None,
) -> None:
    """Train on conversations, as a run that can be resumed."""
    import torch

    from gemini_workshop.checkpoint import find_checkpoint
    from gemini_workshop.cli.train import train_and_report
    from gemini_workshop.config import override
    from gemini_workshop.data.conversations.folder import template_named, write_conversations
    from gemini_workshop.devices import pick_device
    from gemini_workshop.errors import TrainingError
    from gemini_workshop.finetuning.vocabulary import with_tokens
    from gemini_workshop.training.run import check_is_new, resume_run, start_run

    if threads is not None:
        torch.set_num_threads(threads)
    folder, where = out or Path("runs") / f"{Path(beginning).stem}-{method}", pick_device(device)
    if resume:
        if settings:
            raise TrainingError(f"--resume reuses the settings of {folder}. Remove --set {settings[0]}.")
        train_and_report(resume_run(folder, where), minutes)
        return
    check_is_new(folder)  # before its conversations are replaced
    start = with_tokens(find_checkpoint(beginning), template_named(template).marks)
    config = override(start.config, [*SHORT_RUN, *defaults, *(settings or [])])
    written = folder / "conversations"
    write_conversations(
        written, _conversations(data, count), start.tokenizer, template, config.training.validation_fraction
    )
    train_and_report(start_run(folder, config, str(written), "all", where, beginning=start), minutes)


def _conversations(data: str, count: int) -> "list[Conversation]":
    """From a file, or from the storyteller."""
    from tqdm import tqdm

    from gemini_workshop.authoring.instructions import generate_instructions
    from gemini_workshop.data.conversations.reading import conversation_of, read_conversations

    if data != INSTRUCTIONS:
        return read_conversations(data)
    told = tqdm(generate_instructions(count), INSTRUCTIONS, count, unit="", delay=2, disable=None)
    return [conversation_of(each.to_json(), INSTRUCTIONS) for each in told]
