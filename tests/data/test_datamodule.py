import itertools

import pytest
import torch

from gemini_workshop.config import TrainingConfig
from gemini_workshop.data.dataloader import LoaderSettings
from gemini_workshop.data.datamodule import DataModule
from gemini_workshop.data.dataset import split_documents
from gemini_workshop.data.rows import RowLayout
from gemini_workshop.data.tokenizer import CharTokenizer
from gemini_workshop.errors import DataError
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.losses import cross_entropy
from gemini_workshop.training.optimizer import make_optimizer
from tests import tiny
from tests.data import sharded

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
T = tiny.MODEL.context_tokens
TRAINING = TrainingConfig(steps=12, batch_size=4, learning_rate=0.02, warmup_steps=2)


def never():
    raise AssertionError("the documents were read again")


def make(folder, documents=sharded.documents, layout=None, **loader):
    return DataModule(
        folder,
        layout or RowLayout(context_tokens=T, kind="packed"),
        LoaderSettings(**{"batch_size": 4, "seed": 3, **loader}),
        documents=documents,
        tokenizer=sharded.TOKENIZER,
        validation_fraction=0.3,
        shard_bytes=sharded.SHARD_BYTES,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make(folder).prepare_data()
    return folder


def ready(folder, **options):
    module = make(folder, never, **options)
    module.prepare_data()
    module.setup()
    return module


def texts_of(shards):
    text = sharded.TOKENIZER.decode(shards.tokens(0, shards.num_tokens).tolist())
    return text.split("<|endoftext|>")[:-1]


def test_the_shards_are_those_of_the_split_by_document(folder):
    train, validation = split_documents(sharded.documents(), 0.3)
    module = ready(folder)
    assert texts_of(module.train_shards) == train
    assert texts_of(module.validation_shards) == validation


def test_preparing_a_second_time_reads_and_writes_nothing(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    make(folder, never).prepare_data()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_prepared_folder_needs_neither_documents_nor_tokenizer(folder):
    module = DataModule(folder, RowLayout(context_tokens=T), LoaderSettings(batch_size=4))
    module.prepare_data()
    module.setup()
    assert module.tokenizer.encode("abc") == sharded.TOKENIZER.encode("abc")
    assert next(module.train_batches()).inputs.shape == (4, T)


def test_setting_up_only_brings_errors_forward(folder):
    module = DataModule(folder, RowLayout(context_tokens=T), LoaderSettings(batch_size=4))
    assert next(module.train_batches()).inputs.shape == (4, T)
    with pytest.raises(DataError, match="holds no complete shards"):
        DataModule(folder / "new", RowLayout(context_tokens=T), LoaderSettings()).setup()


def test_validation_counts_every_pair_of_its_documents_once(folder):
    module = ready(folder)
    targets = torch.cat([batch.targets.flatten() for batch in module.val_dataloader()])
    pairs = module.validation_shards.num_tokens - module.validation_shards.num_documents
    assert (targets != -100).sum() == pairs


def test_validation_by_overlapping_windows_counts_every_target_once(folder):
    module = ready(folder, layout=RowLayout(context_tokens=T, stride=3))
    targets = torch.cat([batch.targets.flatten() for batch in module.val_dataloader()])
    assert (targets != -100).sum() == module.validation_shards.num_tokens - 1


def test_documents_are_padded_to_the_longest_of_a_batch(folder):
    module = ready(folder, layout=RowLayout(context_tokens=40, kind="documents"))
    lengths = {batch.inputs.shape[1] for batch in itertools.islice(module.train_batches(), 10)}
    assert len(lengths) > 1
    assert max(lengths) <= 30


def test_the_step_counts_the_batches_handed_out_not_those_fetched_ahead(folder):
    module = ready(folder, num_workers=2, prefetch_batches=4)
    for done, _ in enumerate(itertools.islice(module.train_batches(), 5), start=1):
        assert module.state_dict()["step"] == done


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_restored_state_gives_the_remaining_batches(folder, num_workers):
    whole = list(itertools.islice(ready(folder).train_batches(), 30))
    first = ready(folder, num_workers=num_workers)
    list(itertools.islice(first.train_batches(), 13))
    second = ready(folder)
    second.load_state_dict(first.state_dict())
    for batch, expected in zip(itertools.islice(second.train_batches(), 17), whole[13:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(batch, expected, strict=True))


def test_a_document_in_a_packed_row_is_scored_as_if_it_were_alone(folder):
    generator = torch.Generator().manual_seed(0)
    model = Transformer(tiny.MODEL, generator).double()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5, generator=generator)  # as drawn, the blocks add nothing
    inputs, _, segment_ids = next(ready(folder, batch_size=12).train_batches())
    together = model(inputs, segment_ids=segment_ids)
    places = {(row, segment) for row in range(len(inputs)) for segment in segment_ids[row].tolist()}
    assert len(places) > len(inputs)
    for row, segment in places:
        own = segment_ids[row] == segment
        torch.testing.assert_close(together[row, own], model(inputs[row, own][None])[0])


class Learner:
    """The tiny model, learning from a module's batches."""

    def __init__(self, module):
        self.module = module
        self.model = Transformer(tiny.MODEL, torch.Generator().manual_seed(0))
        self.optimizer = make_optimizer(self.model, TRAINING)

    def learn(self, steps):
        losses = []
        for batch in itertools.islice(self.module.train_batches(), steps):
            loss = cross_entropy(self.model(batch.inputs, segment_ids=batch.segment_ids), batch.targets)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return losses

    def state_dict(self):
        return {name: getattr(self, name).state_dict() for name in ("module", "model", "optimizer")}

    def load_state_dict(self, state):
        for name, content in state.items():
            getattr(self, name).load_state_dict(content)


def test_a_model_trained_from_shards_and_resumed_in_the_middle_of_an_epoch_is_the_same_to_the_bit(folder, tmp_path):
    straight = Learner(ready(folder))
    losses = straight.learn(9)
    assert len(straight.module.train_rows) > 5 * 4  # the break is within the first epoch
    before = Learner(ready(folder, num_workers=2))
    first_losses = before.learn(5)
    torch.save(before.state_dict(), tmp_path / "state.pt")
    after = Learner(ready(folder))
    after.load_state_dict(torch.load(tmp_path / "state.pt"))
    assert first_losses + after.learn(4) == losses
    for name, weight in straight.model.state_dict().items():
        assert torch.equal(weight, after.model.state_dict()[name]), name


def test_a_model_learns_from_shards(tmp_path):
    letters = "abcdefghijk" * 3
    module = make(tmp_path, lambda: [letters[i : i + n] for i in range(11) for n in range(5, 20)])
    module.prepare_data()
    module.setup()
    learner = Learner(module)

    @torch.inference_mode()
    def validation_nats():
        losses = [
            cross_entropy(learner.model(batch.inputs, segment_ids=batch.segment_ids), batch.targets).item()
            for batch in module.val_dataloader()
        ]
        return sum(losses) / len(losses)

    before = validation_nats()
    learner.learn(30)
    assert validation_nats() < before - 0.5


def test_a_state_of_other_batches_is_an_error_that_names_both(folder):
    state = ready(folder).state_dict()
    module = ready(folder, batch_size=8, seed=5)
    with pytest.raises(DataError, match=r"batches with seed=3, batch_size=4, but these have seed=5, batch_size=8"):
        module.load_state_dict(state)
    assert module.step == 0


def test_a_state_of_other_rows_is_an_error_that_counts_both(folder):
    rows, others = ready(folder), ready(folder, layout=RowLayout(context_tokens=T - 1, kind="packed"))
    message = rf"batches with num_rows={len(rows.train_rows)}, but these have num_rows={len(others.train_rows)}\."
    with pytest.raises(DataError, match=message):
        others.load_state_dict(rows.state_dict())


def test_shards_of_another_tokenizer_are_an_error(folder):
    module = DataModule(folder, RowLayout(context_tokens=T), LoaderSettings(), tokenizer=CharTokenizer(list("abc")))
    with pytest.raises(DataError, match=r"vocab_size=13 .*not of this one with vocab_size=5"):
        module.setup()


def test_nothing_to_write_from_is_an_error(tmp_path):
    module = DataModule(tmp_path / "new", RowLayout(context_tokens=T), LoaderSettings())
    with pytest.raises(DataError, match=r"new holds no complete shards, .*data tokenize CORPUS --out .*new"):
        module.prepare_data()


def test_too_few_documents_for_both_sides_are_an_error(tmp_path):
    with pytest.raises(DataError, match=r"no documents to write to .*; a split needs enough for both sides"):
        make(tmp_path, lambda: ["abc"]).prepare_data()


def test_a_fraction_out_of_range_is_an_error(tmp_path):
    module = make(tmp_path)
    module.validation_fraction = 1.0
    with pytest.raises(DataError, match=r"validation_fraction=1.0 is outside"):
        module.prepare_data()


def test_one_text_instead_of_documents_is_an_error(tmp_path):
    with pytest.raises(DataError, match="is one text"):
        make(tmp_path, lambda: "abc").prepare_data()
