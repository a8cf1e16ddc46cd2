"""Continuous batching: texts that begin and end at different times share every pass through the model.

    batch = ContinuousBatch(model)
    batch.add([Row(...)])              at any time: the next step reads its prompt and lets it join
    for row in batch.step(): ...       one more token of every row; a row that has ended leaves
    batch.remove([row])                nobody wants it any more

A pass over fifty rows takes little more time than one over a single row, because each weight is read once for all of
them. So rows never wait for each other: one that arrives joins at the next token, and one that ends makes room.

A row is what it would be alone. It has its own sampler, seed and stop ids; the padding in front of shorter rows is a
segment that no token attends to (:mod:`.reader`). Differs from :func:`~.decode.generate` in one way: a row ends where
the model's window is full, and forgets nothing.

Source: Yu et al. 2022, "Orca: A Distributed Serving System for Transformer-Based Generative Models", section 3.2
(scheduling by iteration). Differs: rows are padded to the longest one, where Orca treats each row's attention alone.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.data.tokenizers.checks import check_ids
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import left_padded
from gemini_workshop.generation.decode import Completion, most_likely
from gemini_workshop.generation.penalties import ABSENT
from gemini_workshop.generation.reader import Reader
from gemini_workshop.generation.sampler import Past, Sampler
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer


@dataclass(kw_only=True, slots=True, eq=False)
class Row:
    """One text that is being written: what it asks for, and what there is of it.

    Args:
        max_new_tokens: at most; fewer, where the model's window is full.
        num_top: how many of the most likely tokens to record at each place; None: not even the log-probabilities.
        is_finished: called with each token; True ends the row.
        media: what stands in the places that the prompt holds for images and audio.

    Attributes:
        written: what there is so far, and why it ended.
        error: why the row could not be continued, if it could not.
    """

    prompt_ids: Sequence[int]
    sampler: Sampler
    seed: int
    max_new_tokens: int
    stop_ids: Collection[int] = ()
    num_top: int | None = None
    is_finished: Callable[[int], bool] | None = None
    media: Media | None = None
    written: Completion = field(default_factory=Completion)
    error: WorkshopError | None = None
    generator: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)

    @property
    def has_ended(self) -> bool:
        """No more tokens will come."""
        return self.error is not None or self.written.stopped_by is not None

    def take(self, token: int, logits: Float[Tensor, " V"]) -> None:
        """Record the next token, and whether the row ends with it."""
        if token in self.stop_ids:
            self.written.stopped_by = "id"
            return
        self.written.token_ids.append(token)
        if self.num_top is not None:
            logprobs = logits.float().log_softmax(dim=-1).cpu()
            self.written.logprobs.append(float(logprobs[token]))
            self.written.top_logprobs.append(most_likely(logprobs, self.num_top))
        if self.is_finished is not None and self.is_finished(token):
            self.written.stopped_by = "string"
        elif len(self.written.token_ids) == self.max_new_tokens:
            self.written.stopped_by = "limit"


class ContinuousBatch:
    """Rows of one model that join and leave at any time.

    Attributes:
        rows: those that have read their prompts.
        joining: those that will, in the next step.
    """

    def __init__(self, model: Transformer) -> None:
        self.model, self.window = model, model.config.context_tokens
        self.reader = Reader(model)
        self.rows: list[Row] = []
        self.joining: list[Row] = []

    def __len__(self) -> int:
        return len(self.rows) + len(self.joining)

    def add(self, rows: Iterable[Row]) -> None:
        """Let rows join in the next step; those that are too long for the model's window end in it.

        Raises:
            WorkshopError: a prompt is empty, longer than the window, or has an id outside the vocabulary.
        """
        rows = list(rows)
        for row in rows:
            check_prompt(row.prompt_ids, self.model)
            row.max_new_tokens = min(row.max_new_tokens, self.window - len(row.prompt_ids) + 1)
        self.joining += rows

    def remove(self, rows: Collection[Row]) -> None:
        """Let rows leave that nobody wants any more; those that have left already are passed over."""
        unwanted = set(rows)
        self.joining = [row for row in self.joining if row not in unwanted]
        self._keep([row not in unwanted for row in self.rows])

    @torch.inference_mode()
    def step(self) -> list[Row]:
        """Sample one more token of every row, or find that it cannot be continued; return the rows.

        Those that have ended have left.
        """
        logits = [self._read_on(), *self._read_joining()]
        if self.rows:
            self._sample(torch.cat([each for each in logits if each is not None]))
        stepped = self.rows
        self._keep([not row.has_ended for row in stepped])
        return stepped

    def _read_on(self) -> Float[Tensor, "B V"] | None:
        if not self.rows:
            return None
        return self.reader.read_next(torch.tensor([row.written.token_ids[-1] for row in self.rows]))

    def _read_joining(self) -> Iterable[Float[Tensor, "B V"]]:
        """Read the prompts that wait: those of text together, those with media one by one."""
        texts = [row for row in self.joining if row.media is None]
        groups = [texts] if texts else []
        groups += [[row] for row in self.joining if row.media is not None]
        self.joining = []
        for group in groups:
            reader = Reader(self.model)
            logits = reader.read([row.prompt_ids for row in group], group[0].media)
            self.reader.join(reader)
            self.rows = [*self.rows, *group]
            yield logits

    def _sample(self, logits: Float[Tensor, "B V"]) -> None:
        for sampler, places in _by_sampler(self.rows):
            try:
                tokens = self._pick(sampler, places, logits)
            except WorkshopError:
                self._pick_one_by_one(sampler, places, logits)
                continue
            for place, token in zip(places, tokens, strict=True):
                self.rows[place].take(token, logits[place])

    def _pick(self, sampler: Sampler, places: Sequence[int], logits: Float[Tensor, "B V"]) -> list[int]:
        rows = [self.rows[place] for place in places]
        prompt, _ = left_padded([row.prompt_ids for row in rows], ABSENT)
        written, _ = left_padded([row.written.token_ids for row in rows], ABSENT)
        generators = [row.generator for row in rows]
        return sampler.pick(logits[list(places)], Past(prompt, written), generators).tolist()

    def _pick_one_by_one(self, sampler: Sampler, places: Sequence[int], logits: Float[Tensor, "B V"]) -> None:
        """Where a row has no token left, it alone ends."""
        for place in places:
            row = self.rows[place]
            try:
                (token,) = self._pick(sampler, [place], logits)
                row.take(token, logits[place])
            except WorkshopError as error:
                row.error = error

    def _keep(self, is_kept: Sequence[bool]) -> None:
        if all(is_kept):
            return
        places = [place for place, is_one in enumerate(is_kept) if is_one]
        self.rows = [self.rows[place] for place in places]
        if places:
            self.reader.keep(places)
        else:
            self.reader = Reader(self.model)


def check_prompt(prompt_ids: Sequence[int], model: Transformer) -> None:
    """Refuse a prompt that the model cannot read as a whole.

    Raises:
        WorkshopError: it is empty, longer than the window, or has an id outside the vocabulary.
    """
    if not prompt_ids:
        raise WorkshopError("The prompt has 0 tokens. Give at least one: for example, the end of text.")
    if len(prompt_ids) > model.config.context_tokens:
        raise WorkshopError(
            f"The prompt has {len(prompt_ids):,} tokens, and the model reads {model.config.context_tokens:,}. "
            "Shorten it, or begin a new conversation."
        )
    check_ids(prompt_ids, model.config.vocab_size)


def _by_sampler(rows: Sequence[Row]) -> list[tuple[Sampler, list[int]]]:
    """Rows whose samplers are equal can be sampled in one go."""
    groups: list[tuple[Sampler, list[int]]] = []
    for place, row in enumerate(rows):
        for sampler, places in groups:
            if sampler == row.sampler:
                places.append(place)
                break
        else:
            groups.append((row.sampler, [place]))
    return groups
