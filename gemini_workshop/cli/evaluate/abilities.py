"""gemini-workshop evaluate abilities: the answers of a multimodal model to held-out examples."""

from typing import Annotated

import typer

from gemini_workshop.cli.evaluate.common import Checkpoint, Device, Measurement, measurement


@measurement()
def abilities(
    checkpoint: Checkpoint,
    task: Annotated[
        list[str] | None, typer.Option(help="Only this task; see `data tasks`. Can be repeated. Default: all.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of examples per task.")] = 500,
    device: Device = "auto",
) -> Measurement:
    """Ask a multimodal model the held-out examples of each task.

    An answer counts if it is the right one, word for word. No held-out image, voice or pair of numbers was trained on.

    Examples:

        gemini-workshop evaluate abilities runs/mini-gemini-tasks

        gemini-workshop evaluate abilities runs/mine --task spoken-digits --limit 100
    """
    from tqdm import tqdm

    from gemini_workshop.checkpoint import load_pretrained
    from gemini_workshop.data.tasks import find_task, tasks
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.abilities import TEXT_ONLY, measure_abilities, spread
    from gemini_workshop.evaluation.results import Result, model_facts, text_facts
    from gemini_workshop.evaluation.scores import name_of
    from gemini_workshop.tables import table
    from gemini_workshop.visualization.evaluation import ability_bars

    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    chosen = {name: find_task(name) for name in task} if task else tasks()
    chosen.pop(TEXT_ONLY, None)
    total = sum(len(spread(len(each), limit)) for each in chosen.values())
    with tqdm(total=total, unit="example", delay=2, disable=None) as bar:
        found = measure_abilities(model, tokenizer, chosen, limit, progress=bar.update)
    name, rows = name_of(checkpoint), [["task", "right", "95 % between", "asked"]]
    for ability in found:
        low, high = ability.interval
        rows.append([ability.task, f"{ability.accuracy:.1%}", f"{low:.1%} and {high:.1%}", f"{ability.num_asked:,}"])
    return Measurement(
        Result(
            kind="abilities",
            model=model_facts(name, model),
            data=text_facts("held-out examples", [each.example(0, "heldout").answer for each in chosen.values()]),
            settings={"limit": limit},
            scores={ability.task: ability.accuracy for ability in found},
            details={ability.task: {"asked": ability.num_asked, "wrong": ability.wrong} for ability in found},
        ),
        table(rows, f"{name}: answers to held-out examples\n"),
        lambda: ability_bars(name, found),
    )
