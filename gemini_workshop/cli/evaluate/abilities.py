"""gemini-workshop evaluate abilities: what a multimodal model can do, measured on what it was not trained on."""

from pathlib import Path
from typing import Annotated

import typer

from gemini_workshop.cli.evaluate.common import Checkpoint, Device, Measurement, measurement, save_figure

TaskNames = Annotated[
    list[str] | None, typer.Option(help="Only this task; see `data tasks`. Can be repeated. Default: all.")
]
Limit = Annotated[int, typer.Option(min=1, help="Maximum number of examples per task.")]
Against = Annotated[
    str | None, typer.Option(help="Compare the loss on stories with this checkpoint, such as one of text alone.")
]
Plot = Annotated[
    Path | None, typer.Option(help="Draw the needles that were found, by length and depth, into this file.")
]


@measurement()
def abilities(
    checkpoint: Checkpoint,
    task: TaskNames = None,
    limit: Limit = 500,
    against: Against = None,
    plot: Plot = None,
    device: Device = "auto",
) -> Measurement:
    """Measure what a multimodal model can do.

    It is asked the held-out examples of each task, and an answer counts if it is the right one, word for word. No
    held-out image, voice or pair of numbers was trained on. Needles are hidden in texts of up to four times the length
    of its training rows; the table has the longest. Beside each measurement are what mini-gemini must reach and what it
    aims at. --picture draws the right answers, --plot the needles.

    Example: gemini-workshop evaluate abilities runs/mini-gemini-tasks --plot needle.png
    """
    from dataclasses import asdict
    from functools import partial

    from tqdm import tqdm

    from gemini_workshop.checkpoint import find_checkpoint, load_pretrained
    from gemini_workshop.data.tasks import find_task, tasks
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.abilities import TEXT_ONLY
    from gemini_workshop.evaluation.report import Examiner, report_table
    from gemini_workshop.evaluation.results import Result, model_facts, text_facts
    from gemini_workshop.evaluation.scores import name_of
    from gemini_workshop.visualization.evaluation import ability_bars, recall_heat_map

    name, row_tokens, on = name_of(checkpoint), find_checkpoint(checkpoint).config.row_tokens, pick_device(device)
    model, tokenizer = load_pretrained(checkpoint, on)
    others = {name_of(against): load_pretrained(against, on)} if against else {}
    chosen = {each: find_task(each) for each in task} if task else tasks()
    with tqdm(unit="example", delay=2, disable=None) as bar:
        examiner = Examiner(model=model, tokenizer=tokenizer, row_tokens=row_tokens, limit=limit, progress=bar.update)
        bar.reset(examiner.number(chosen, 1 + len(others)))
        report = examiner.answers(chosen)
        lines = list(report.lines) + ([] if task else examiner.experts(chosen))
        if TEXT_ONLY in chosen:
            lines += examiner.stories(chosen[TEXT_ONLY], others)
    if plot and report.needle:
        save_figure(partial(recall_heat_map, name, report.needle, row_tokens), plot)
    details = {each.task: {"asked": each.num_asked, "wrong": each.wrong} for each in report.abilities}
    return Measurement(
        Result(
            kind="abilities",
            model=model_facts(name, model),
            data=text_facts("held-out examples", [each.example(0, "heldout").answer for each in chosen.values()]),
            settings={"limit": limit},
            scores={line.name: line.value for line in lines},
            details=details | ({"needle grid": asdict(report.needle)} if report.needle else {}),
        ),
        report_table(f"{name}: measured on what it was not trained on", lines),
        lambda: ability_bars(name, report.abilities),
    )
