import torch

from gemini_workshop.evaluation.traffic import MemoryTraffic

X, Y = torch.ones(3, 5), torch.ones(5, 7)


def test_a_large_result_is_written_and_read_again():
    with MemoryTraffic(fast_numbers=20) as memory:
        (X @ Y).exp()
    assert (memory.numbers_read, memory.numbers_written) == (15 + 35 + 21, 21 + 21)
    assert memory.traffic == 71 + 42


def test_a_small_result_stays_in_fast_memory():
    with MemoryTraffic(fast_numbers=21) as memory:
        (X @ Y).exp()
    assert (memory.numbers_read, memory.numbers_written) == (15 + 35, 0)
    assert (memory.numbers_made, memory.largest_made) == (42, 21)


def test_a_view_moves_nothing_and_costs_what_it_shows():
    with MemoryTraffic(fast_numbers=1000) as memory:
        tile = X[:2].mT
        assert memory.traffic == 0
        tile + 1
    assert memory.numbers_read == 10


def test_rows_that_are_chosen_cost_what_is_chosen():
    with MemoryTraffic(fast_numbers=1000) as memory:
        X[torch.tensor([2, 0])]
        X.index_select(0, torch.tensor([1]))
    assert memory.numbers_read == 2 * 5 + 5


def test_a_change_in_place_is_a_result():
    with MemoryTraffic(fast_numbers=0) as memory:
        X.clone().add_(1)
    assert (memory.numbers_read, memory.numbers_written) == (15 + 15, 15 + 15)


def test_masks_do_not_count():
    with MemoryTraffic(fast_numbers=0) as memory:
        torch.ones(9, 9, dtype=torch.bool).tril()
    assert memory.traffic == memory.numbers_made == 0


def test_products_of_matrices_are_counted_in_flops():
    with MemoryTraffic(fast_numbers=0) as memory:
        X @ Y
        X + 1
        torch.ones(4, 3, 5) @ torch.ones(4, 5, 7)
        torch.nn.functional.scaled_dot_product_attention(*torch.ones(3, 1, 2, 6, 8))
    assert memory.flops == 2 * (3 * 5 * 7) * (1 + 4) + 2 * 2 * (2 * 6 * 6 * 8)
