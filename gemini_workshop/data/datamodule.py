"""From documents to batches, behind one object: write shards once, open them, load batches, remember the place.

    module = DataModule(
        "shards/stories",
        RowLayout(context_tokens=256),
        LoaderSettings(batch_size=16),
        documents=lambda: load_documents("stories"),
        tokenizer=tokenizer,
    )
    module.prepare_data()                     # slow the first time only
    for batch in module.train_batches():      # without end
        ...                                   # module.state_dict() tells the place

FOLDER/train and FOLDER/validation are folders of shards, see :mod:`~gemini_workshop.data.shards`.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from torch.utils.data import DataLoader

from gemini_workshop.data.dataloader import LoaderSettings, OrderedSteps, ShuffledSteps, make_loader
from gemini_workshop.data.dataset import is_for_validation
from gemini_workshop.data.packing import Batch
from gemini_workshop.data.rows import RowLayout, Rows
from gemini_workshop.data.sharding import SHARD_BYTES, write_shards
from gemini_workshop.data.shards import INDEX_FILE, TokenShards
from gemini_workshop.data.tokenizer import Tokenizer, check_documents
from gemini_workshop.errors import DataError

SIDES = ("train", "validation")


def write_split(
    documents: Callable[[], Iterable[str]],
    tokenizer: Tokenizer,
    folder: str | Path,
    validation_fraction: float,
    *,
    shard_bytes: int = SHARD_BYTES,
    num_processes: int = 1,
    progress: bool = False,
) -> None:
    """Write the shards of both sides of a split, which each document's text decides.

    Args:
        documents: called once for each side, so that no side has to fit into memory.

    Raises:
        DataError: as :func:`~gemini_workshop.data.sharding.write_shards`; also if one side is empty.
    """
    for side in SIDES:
        is_validation = side == "validation"
        write_shards(
            (d for d in check_documents(documents()) if is_for_validation(d, validation_fraction) is is_validation),
            tokenizer,
            Path(folder, side),
            shard_bytes=shard_bytes,
            num_processes=num_processes,
            progress=progress,
        )


class DataModule:
    """A corpus as batches to train and to evaluate on.

    A folder belongs to one corpus: shards that are complete are taken as they are. A folder that
    ``gemini-workshop data tokenize`` wrote needs neither documents nor tokenizer.

    Args:
        documents: called to read the corpus, twice, and only if shards are to be written.
        tokenizer: the one that the shards must come from, or be written by.
        num_processes: that write shards.
        progress: show a bar while they do.
    """

    def __init__(
        self,
        folder: str | Path,
        layout: RowLayout,
        loader: LoaderSettings,
        *,
        documents: Callable[[], Iterable[str]] | None = None,
        tokenizer: Tokenizer | None = None,
        validation_fraction: float = 0.05,
        shard_bytes: int = SHARD_BYTES,
        num_processes: int = 1,
        progress: bool = True,
    ) -> None:
        self.folder = Path(folder)
        self.layout = layout
        self.loader = loader
        self.documents = documents
        self.tokenizer = tokenizer
        self.validation_fraction = validation_fraction
        self.shard_bytes = shard_bytes
        self.num_processes = num_processes
        self.progress = progress
        self.step = 0

    def prepare_data(self) -> None:
        """Write the shards unless they are there. Of several processes, one calls this, before the others go on."""
        if all((self.folder / side / INDEX_FILE).exists() for side in SIDES):
            return
        if self.documents is None or self.tokenizer is None:
            raise DataError(
                f"{self.folder} holds no complete shards, and there is nothing to write them from. Give documents and "
                f"tokenizer, or write them before: gemini-workshop data tokenize CORPUS --out {self.folder}"
            )
        write_split(
            self.documents,
            self.tokenizer,
            self.folder,
            self.validation_fraction,
            shard_bytes=self.shard_bytes,
            num_processes=self.num_processes,
            progress=self.progress,
        )

    def setup(self) -> None:
        """Open the shards and lay out the rows now, so that what is wrong with them shows here.

        Raises:
            DataError: the shards are not complete, come from another tokenizer, or are too few for one row.
        """
        self.tokenizer = self.tokenizer or self.train_shards.load_tokenizer()
        _ = self.train_rows, self.validation_rows

    @cached_property
    def train_shards(self) -> TokenShards:
        """The training share."""
        return TokenShards(self.folder / "train", self.tokenizer)

    @cached_property
    def validation_shards(self) -> TokenShards:
        """The validation share, of the same tokenizer."""
        return TokenShards(self.folder / "validation", self.tokenizer or self.train_shards.load_tokenizer())

    @cached_property
    def train_rows(self) -> Rows:
        """The training share as rows."""
        return self.layout.rows(self.train_shards)

    @cached_property
    def validation_rows(self) -> Rows:
        """The validation share as rows; each target counts once."""
        return self.layout.rows(self.validation_shards, for_evaluation=True)

    def train_dataloader(self, start_step: int = 0) -> DataLoader[Batch]:
        """The batches from a step on, without end, shuffled anew for each epoch."""
        steps = ShuffledSteps(len(self.train_rows), self.loader, start_step)
        return make_loader(
            self.train_rows, steps, self.loader, self.train_shards.end_of_text_id, self.layout.row_tokens
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        """The validation share once, in its order; each of its targets counts once."""
        steps = OrderedSteps(len(self.validation_rows), self.loader)
        return make_loader(
            self.validation_rows, steps, self.loader, self.validation_shards.end_of_text_id, self.layout.row_tokens
        )

    def train_batches(self) -> Iterator[Batch]:
        """The batches from the present step on; each one handed out counts as done."""
        for batch in self.train_dataloader(self.step):
            self.step += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The place in the order of batches, and what that order depends on."""
        return {
            "step": self.step,
            "seed": self.loader.seed,
            "batch_size": self.loader.batch_size,
            "num_rows": len(self.train_rows),
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from the place that :meth:`state_dict` told.

        Raises:
            DataError: the batches are not those of the state, so that its step is another place.
        """
        here = {**self.state_dict(), "step": state["step"]}
        if different := [name for name in here if here[name] != state.get(name)]:
            then, now = (", ".join(f"{name}={of.get(name)}" for name in different) for of in (state, here))
            raise DataError(
                f"The state is of batches with {then}, but these have {now}. "
                "Go on with the settings and shards that the state was saved with, or begin anew at step 0."
            )
        self.step = state["step"]
