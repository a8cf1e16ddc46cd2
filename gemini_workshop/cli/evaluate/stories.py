"""gemini-workshop evaluate stories: does what a model writes hold together?"""

from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.evaluate.common import Checkpoint, Device, Measurement, Seed, Size, measurement

if TYPE_CHECKING:
    from gemini_workshop.evaluation.coherence import Coherence


@measurement(has_picture=False)
def stories(
    checkpoint: Checkpoint = "stories-small",
    corpus: Annotated[str, typer.Option(help="Where the beginnings come from: a corpus, or a text file.")] = "stories",
    size: Size = "all",
    count: Annotated[int, typer.Option(min=1, help="Number of stories.")] = 20,
    new_tokens: Annotated[int, typer.Option(min=1, help="The most tokens to write per story.")] = 200,
    seed: Seed = 0,
    device: Device = "auto",
) -> Measurement:
    """Measure whether a model's stories hold together.

    The model gets the first sentence of stories that it was not trained on, and continues each. What it writes is
    measured beside the stories themselves, cut to the same length: names that stay, quotations that are closed,
    sentences that are repeated. With --json or --result, all stories can be read.

    Examples:

        gemini-workshop evaluate stories --count 5

        gemini-workshop evaluate stories runs/mine --corpus tinystories --count 50 --result mine.json
    """
    import itertools
    from dataclasses import asdict, replace

    from gemini_workshop.checkpoint import find_checkpoint, load_pretrained
    from gemini_workshop.cli.evaluate.common import Split, documents_of
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.coherence import coherence, continued
    from gemini_workshop.evaluation.results import Result, model_facts, text_facts
    from gemini_workshop.evaluation.scores import name_of

    config, name = find_checkpoint(checkpoint).config, name_of(checkpoint)
    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    documents = documents_of(corpus, size, Split.validation, config.training.validation_fraction)
    originals = list(itertools.islice(documents, count))
    generation = replace(config.generation, max_new_tokens=new_tokens, seed=seed)
    written, shortened = continued(model, tokenizer, originals, generation)
    ours, theirs = coherence(written), coherence(shortened)
    return Measurement(
        Result(
            kind="stories",
            model=model_facts(name, model),
            data=text_facts(corpus, originals),
            settings={"count": len(originals), "new_tokens": new_tokens, "seed": seed},
            scores={measure: value for measure, value in asdict(ours).items() if value is not None},
            details={"originals": asdict(theirs), "stories": written},
        ),
        coherence_table({name: ours, f"the stories of {corpus}": theirs}, len(originals)),
    )


def coherence_table(found: "dict[str, Coherence]", count: int) -> str:
    """Whose stories, one per row."""
    from gemini_workshop.tables import table

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{value:.0%}"

    rows = [
        [name, *map(percent, (each.names_kept, each.quotes_closed, each.sentences_repeated)), f"{each.words:.0f}"]
        for name, each in found.items()
    ]
    return table([[f"{count} stories by", "names kept", "quotes closed", "sentences repeated", "words"], *rows])
