"""All that is measured of a multimodal model, as one table: each number with its interval, its must and its aim.

task           right answers to held-out examples
needle         the same by length and depth, in texts of up to four times the length of the training rows
experts        the load of the busiest one
stories        bits per byte, and how many more than those of another model
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from gemini_workshop.data.batches.batch import PADDING_SEGMENT, Batch
from gemini_workshop.data.media.encoding import MediaEncoder
from gemini_workshop.data.tasks import Task
from gemini_workshop.data.tasks.rows import TaskRows
from gemini_workshop.data.tasks.stages import Stage, overall, stages_of
from gemini_workshop.data.tasks.stories import FACT, WHICH_NUMBER, Needle
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.evaluation.abilities import TEXT_ONLY, Ability, measure_abilities, spread
from gemini_workshop.evaluation.goals import BUSIEST_EXPERT, MORE_BITS, RIGHT_ANSWERS, Goal
from gemini_workshop.evaluation.needle import NeedleResult
from gemini_workshop.evaluation.profiles import score_documents
from gemini_workshop.generation.ask import media_of
from gemini_workshop.models.moe import recorded_routing
from gemini_workshop.models.routing import expert_load
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.tables import table

MULTIPLES = (0.5, 1.0, 2.0, 4.0)  # of the training rows: lengths of texts with a needle
NUM_ROWS, BATCH_SIZE = 64, 8  # that experts are counted over
ANSWER_TOKENS = 12  # room for an answer, the marks around the question, and the spaces between sentences
COLUMNS = ("measured", "95 % between", "must", "aim", "reached", "asked")
CHANCE = 1 / 90  # of guessing a number of two digits


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One measurement.

    Args:
        form: how its numbers are written.
        interval: where it lies with a confidence of 95 %.
        asked: the number of examples.
    """

    name: str
    value: float
    form: str = "{:.1%}"
    interval: tuple[float, float] | None = None
    goal: Goal | None = None
    asked: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All measurements of a model.

    Args:
        needle: the grid, if needles were asked for.
    """

    lines: tuple[Line, ...]
    abilities: tuple[Ability, ...]
    needle: NeedleResult | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Examiner:
    """A model and how it is examined.

    Args:
        row_tokens: of its training rows.
        limit: most examples of a task.
        progress: called with the number of examples or stories that are done.
    """

    model: Transformer
    tokenizer: Tokenizer
    row_tokens: int
    limit: int
    progress: Callable[[int], object] = lambda _: None

    def number(self, tasks: Mapping[str, Task], num_models: int = 1) -> int:
        """How many examples and stories there are; stories are read by each model."""
        counts = {name: len(spread(len(task), self.limit)) for name, task in self._asked(tasks).items()}
        stories = len(spread(len(tasks[TEXT_ONLY]), self.limit)) if TEXT_ONLY in tasks else 0
        return sum(counts.values()) + num_models * stories

    def answers(self, tasks: Mapping[str, Task]) -> Report:
        """The lines of all tasks with questions, of needles the longest texts."""
        asked = self._asked(tasks)
        found = measure_abilities(self.model, self.tokenizer, asked, self.limit, progress=self.progress)
        lines, grid = [], None
        for ability in found:
            task = asked[ability.task]
            if isinstance(task, Needle):
                grid = needle_result(task, ability.outcomes)
                lines.append(ability_line(at_longest(task, ability), f"needle, {max(task.lengths):,} tokens"))
            else:
                lines.append(ability_line(ability))
        return Report(lines=tuple(lines), abilities=tuple(found), needle=grid)

    def experts(self, tasks: Mapping[str, Task]) -> list[Line]:
        """The line of the busiest expert, over held-out rows as training draws them; none without experts."""
        encoder = MediaEncoder(self.tokenizer, media_of(self.model))
        everything = Stage(name="held out", share=1.0, weights=overall(stages_of(tasks)))
        rows = TaskRows(encoder, tasks, [everything], self.row_tokens, NUM_ROWS, split="heldout")
        load = busiest_expert(self.model, rows.in_order(BATCH_SIZE))
        line = Line(name="busiest expert ÷ mean", value=load or 0.0, form="{:.2f}", goal=BUSIEST_EXPERT)
        return [] if load is None else [line]

    def stories(self, task: Task, others: Mapping[str, tuple[Transformer, Tokenizer]]) -> list[Line]:
        """Bits per byte on held-out stories, of this model and of others, and how many more this one needs."""
        documents = [task.example(i, "heldout").answer for i in spread(len(task), self.limit)]
        own = score_documents(self.model, self.tokenizer, documents, self.progress)[1]
        line = Line(name="stories, bits per byte", value=own, form="{:.3f}", asked=len(documents))
        lines = [line]
        for name, (model, tokenizer) in others.items():
            bits = score_documents(model, tokenizer, documents, self.progress)[1]
            lines.append(replace(line, name=f"of {name}", value=bits))
            lines.append(Line(name=f"more than {name}", value=own / bits - 1, form="{:+.1%}", goal=MORE_BITS))
        return lines

    def _asked(self, tasks: Mapping[str, Task]) -> dict[str, Task]:
        window = self.model.config.context_tokens
        return {
            name: needle_task(self.row_tokens, window, self.tokenizer, self.limit) if isinstance(task, Needle) else task
            for name, task in tasks.items()
            if name != TEXT_ONLY
        }


def ability_line(ability: Ability, name: str | None = None) -> Line:
    """The line of a task; ``name`` is for one that is measured in part."""
    return Line(
        name=name or ability.task,
        value=ability.accuracy,
        interval=ability.interval,
        goal=RIGHT_ANSWERS.get(ability.task),
        asked=ability.num_asked,
    )


def report_table(title: str, lines: Sequence[Line]) -> str:
    """All lines as plain text."""
    return table([["", *COLUMNS], *map(cells, lines)], f"{title}\n")


def cells(line: Line) -> list[str]:
    """The name of a measurement, and what stands in each of the ``COLUMNS``."""
    write = line.form.format
    goals = ["-"] * 3
    if line.goal is not None:
        goals = [_short(line.goal.must, line.form), _short(line.goal.aim, line.form), line.goal.reached(line.value)]
    between = "-" if line.interval is None else " and ".join(map(write, line.interval))
    return [line.name, write(line.value), between, *goals, "-" if line.asked is None else f"{line.asked:,}"]


def needle_task(row_tokens: int, context_tokens: int, tokenizer: Tokenizer, limit: int) -> Needle:
    """Needles in texts of half, one, two and four times the training rows, as far as the model reads.

    Lengths are tokens of the whole example, its answer included.

    Args:
        limit: most examples, over the whole grid; each cell has one at least.
    """
    longest = FACT.format(who="golden mouse", number=88), WHICH_NUMBER[0].format(who="golden mouse")
    spared = sum(len(tokenizer.encode(f" {text}")) for text in longest) + ANSWER_TOKENS
    lengths = dict.fromkeys(min(round(row_tokens * times), context_tokens) for times in MULTIPLES)
    usual = Needle()
    return Needle(
        lengths=[length for length in lengths if length > spared],
        repeats=min(usual.repeats, max(1, limit // (len(lengths) * len(usual.depths)))),
        count=lambda text: len(tokenizer.encode(f" {text}")),
        spared=spared,
    )


def needle_result(task: Needle, outcomes: Sequence[bool]) -> NeedleResult:
    """The grid of a task, all of whose examples were asked."""
    cells: dict[tuple[int, float], list[bool]] = {}
    for index, is_right in enumerate(outcomes):
        cells.setdefault(task.cell(index), []).append(is_right)
    found = [
        tuple(sum(cells[length, depth]) / task.repeats for length in task.lengths) for depth in task.depths
    ]  # fmt: skip
    return NeedleResult(
        lengths=task.lengths, depths=task.depths, found=tuple(found), trials=task.repeats, chance=CHANCE
    )


def at_longest(task: Needle, ability: Ability) -> Ability:
    """The part of an ability that was asked about the longest texts."""
    outcomes = [
        is_right for index, is_right in enumerate(ability.outcomes) if task.cell(index)[0] == max(task.lengths)
    ]  # fmt: skip
    return Ability(task=ability.task, num_right=sum(outcomes), num_asked=len(outcomes))


@torch.inference_mode()
def busiest_expert(model: Transformer, batches: Iterable[Batch]) -> float | None:
    """The load of the busiest expert as a multiple of the mean, in the layer where it is greatest; padding is left out.

    None if the model has no experts.
    """
    if model.config.moe is None:
        return None
    device, num_experts = model.embedding.weight.device, model.config.moe.num_experts
    counts: torch.Tensor | float = 0.0
    for batch in batches:
        batch = batch.map(lambda tensor: tensor.to(device))
        segments = torch.ones_like(batch.inputs) if batch.segment_ids is None else batch.segment_ids
        is_token = (segments != PADDING_SEGMENT).flatten()
        with recorded_routing(model) as routings:
            model.hidden_states(batch.inputs, segment_ids=batch.segment_ids, media=batch.media)
        loads = torch.stack([expert_load(routing.experts[is_token], num_experts) for routing in routings])
        counts = counts + loads * int(is_token.sum())
    assert isinstance(counts, torch.Tensor)  # there is a batch
    return float((counts.amax(dim=1) / counts.mean(dim=1)).max())


def _short(number: float, form: str) -> str:
    """A goal as it was set: without digits that say nothing."""
    return f"{100 * number:g}%" if "%" in form else f"{number:g}"
