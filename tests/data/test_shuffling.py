import numpy as np
import pytest

from gemini_workshop.data.shuffling import shuffled


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 15, 16, 17, 64, 65, 1000, 4097])
@pytest.mark.parametrize("epoch", [0, 1])
def test_every_number_comes_once(count, epoch):
    assert np.array_equal(np.sort(shuffled(np.arange(count), count, 3, epoch)), np.arange(count))


def test_one_place_is_computed_without_the_others():
    whole = shuffled(np.arange(1000), 1000, seed=3)
    places = np.array([999, 0, 17, 17])
    assert np.array_equal(shuffled(places, 1000, seed=3), whole[places])


def test_a_trillion_things_need_no_table():
    some = shuffled(np.arange(5), 10**12, seed=3)
    assert len(set(some.tolist())) == 5
    assert (some < 10**12).all()
    assert (some > 10**6).all()


@pytest.mark.parametrize("count", [3, 16, 20, 41])
def test_each_number_is_as_likely_at_each_place(count):
    orders = np.stack([shuffled(np.arange(count), count, seed) for seed in range(30 * count)])
    counts = np.stack([np.bincount(column, minlength=count) for column in orders.T])  # of each number at each place
    deviations = (counts - 30) / (30 * (1 - 1 / count)) ** 0.5
    assert abs(deviations).max() < 5
    if count > 3:
        assert abs((deviations**2).mean() - 1) < 0.2


def test_neighbours_are_parted():
    order = shuffled(np.arange(10_000), 10_000, seed=0)
    steps = np.diff(order)
    assert (abs(steps) == 1).sum() < 15  # two are expected of a fair shuffle
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.05


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(shuffled(np.arange(50), 50, seed, epoch)) for seed in (0, 1, -1, 2**63) for epoch in range(3)}
    assert len(orders) == 12


def test_the_order_is_the_same_on_every_machine_and_tomorrow():
    assert shuffled(np.arange(10), 10, seed=7, epoch=2).tolist() == [4, 3, 8, 1, 6, 9, 7, 0, 2, 5]
