"""The README.md of an exported model: what it is, how to use it, under which licences; with the header of the hub."""

from gemini_workshop.checkpoint import SHIPPED, Checkpoint
from gemini_workshop.data.corpora import corpus_names, find_corpus
from gemini_workshop.reading import read_json

USE = """\
## Use

```python
from transformers import pipeline

write = pipeline("text-generation", "{folder}")
write("Once upon a time", max_new_tokens=60)
write("Once upon a time", max_new_tokens=60, do_sample=True, temperature=0.8, top_p=0.95)
```

A text begins with the end-of-text token, which the tokenizer puts there: that is how the model learned it."""


def model_card(checkpoint: Checkpoint, folder: str, num_parameters: int) -> str:
    """The card in Markdown.

    Args:
        folder: the name of the folder, for the lines that read it.
    """
    licence, papers = _licence(checkpoint)
    takes_media = checkpoint.config.model.media is not None
    pipeline = [] if takes_media else ["pipeline_tag: text-generation"]
    header = ["---", f"license: {licence}", "library_name: transformers", *pipeline, "---"]
    own = checkpoint.path / "MODEL_CARD.md"
    text = own.read_text("utf-8") if own.exists() else _about(checkpoint, num_parameters)
    introduction, _, sections = text.strip().partition("\n## ")
    use = [] if takes_media else [USE.format(folder=folder), ""]
    more = ["", "## " + sections] if sections else []
    return "\n".join([*header, "", introduction.strip(), "", *use, "## Licence", "", papers, *more, ""])


def _licence(checkpoint: Checkpoint) -> tuple[str, str]:
    """The licence as the hub names it, and in a sentence with those of the data."""
    if checkpoint.path.parent == SHIPPED:
        return "apache-2.0", (
            "The weights are part of gemini-from-scratch, under the Apache License 2.0. The texts that they were "
            "trained on have the licences that are named under Data."
        )
    texts = _corpora(checkpoint)
    known = [f"{name}: {find_corpus(name).licence}" for name in texts if name in corpus_names()]
    unknown = [name for name in texts if name not in corpus_names()]
    trained = f" Trained on {'; '.join([*known, *unknown])}." if texts else ""
    return "other", f"Not chosen yet: name one before you pass the model on.{trained}"


def _corpora(checkpoint: Checkpoint) -> list[str]:
    """What a run was trained on, by its run.json; nothing for other checkpoints."""
    for folder in checkpoint.path.resolve().parents[:2]:
        if (folder / "run.json").exists():
            source = read_json(folder / "run.json")
            corpus = source.get("corpus") if isinstance(source, dict) else None
            return list(dict.fromkeys(corpus.split("+"))) if isinstance(corpus, str) else []
    return []


def _about(checkpoint: Checkpoint, num_parameters: int) -> str:
    loss = checkpoint.metrics.get("validation_nats")
    measured = f" Its loss on the validation text is {loss:.3f} nats per token." if loss is not None else ""
    return (
        f"# A model of {num_parameters:,} parameters\n\n"
        f"A decoder trained with gemini-workshop for {checkpoint.step:,} steps.{measured}"
    )
