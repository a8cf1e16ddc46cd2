import pytest
import torch

from gemini_workshop.generation.storage import Int8Storage, Storage


@pytest.fixture
def x():
    """Vectors of very different lengths."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.logspace(-4, 4, 3 * 2 * 5).view(3, 2, 5, 1)
    return torch.randn(3, 2, 5, 4, generator=generator) * lengths


def filled(storage, x):
    places = storage(3, 2, 5, 4, x.dtype, "cpu")
    places.write(0, x[:, :, :3])
    places.write(3, x[:, :, 3:])
    return places


def test_numbers_come_back_as_they_were(x):
    assert filled(Storage, x).read(1, 4).equal(x[:, :, 1:4])


def test_in_8_bits_no_number_is_off_by_more_than_1_254_of_the_largest_of_its_vector(x):
    off = (filled(Int8Storage, x).read(1, 4) - x[:, :, 1:4]).abs()
    largest = x[:, :, 1:4].abs().amax(dim=-1, keepdim=True)
    assert (off <= largest / 254 * 1.0001).all()
    assert off.any()


@pytest.mark.parametrize("storage", [Storage, Int8Storage])
def test_in_more_room_everything_is_as_it_was(storage, x):
    places = filled(storage, x)
    before = places.read(0, 5).clone()
    places.grow(11)
    places.write(5, x)
    assert places.room == 11
    assert places.read(0, 5).equal(before)
    assert places.read(5, 10).equal(before)


@pytest.mark.parametrize("storage", [Storage, Int8Storage])
@pytest.mark.parametrize("rows", [[2, 0, 1], [1], [0, 0, 1, 2, 2]], ids=str)
def test_reordered_rows_are_what_the_rows_were(storage, rows, x):
    places = filled(storage, x)
    before = places.read(0, 5).clone()
    places.reorder(torch.tensor(rows))
    assert places.read(0, 5).equal(before[rows])


@pytest.mark.parametrize("storage", [Storage, Int8Storage])
def test_what_is_read_has_the_number_format_of_what_was_written(storage, x):
    assert filled(storage, x.bfloat16()).read(0, 5).dtype == torch.bfloat16


@pytest.mark.parametrize("storage", [Storage, Int8Storage])
def test_vectors_without_channels_take_no_memory(storage):
    places = storage(3, 2, 5, 0, torch.float32, "cpu")
    places.write(1, torch.empty(3, 2, 4, 0))
    assert places.read(0, 5).shape == (3, 2, 5, 0)
    assert places.num_bytes() == 0


@pytest.mark.parametrize("storage", [Storage, Int8Storage])
def test_joined_sequences_end_together_and_the_oldest_can_be_forgotten(storage, x):
    places, other = filled(storage, x), filled(storage, -x[[0, 1, 2]])
    own, others = places.read(0, 2).clone(), other.read(0, 5).clone()
    places.join(other, 2, 5)
    assert places.read(3, 5)[:3].equal(own)
    assert places.read(0, 5)[3:].equal(others)
    assert not places.read(0, 3)[:3].any()
    places.forget(3, 5)
    assert places.room == 2
    assert places.read(0, 2)[:3].equal(own)
    assert places.read(0, 2)[3:].equal(others[:, :, 3:])
