import time

import pytest
import torch

from gemini_workshop.benchmarks.measure import Comparison, comparison_table, cpu_seconds, products_alone


def work(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_the_contestants_take_turns_and_the_median_counts():
    order = []
    durations = {"a": iter([0.2, 0.01, 0.05, 0.02]), "b": iter([0.01, 0.01, 0.01, 0.01])}

    def contestant(name):
        def run():
            order.append(name)
            work(next(durations[name]))

        return run

    seconds = cpu_seconds({"a": contestant("a"), "b": contestant("b")}, rounds=3, warmups=1)
    assert order == ["a", "b"] * 4
    assert seconds["a"] == pytest.approx(0.02, rel=0.4)  # without the warm-up's 0.2


def test_waiting_is_not_counted():
    assert cpu_seconds({"sleeper": lambda: time.sleep(0.05)}, rounds=1)["sleeper"] < 0.03


def test_one_thread_inside_and_as_many_as_before_after_an_error():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen = []
        cpu_seconds({"a": lambda: seen.append(torch.get_num_threads())}, rounds=1, warmups=0)
        assert seen == [1]
        with pytest.raises(ZeroDivisionError):
            cpu_seconds({"a": lambda: 1 / 0})
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_the_table_says_whether_a_promise_is_kept():
    lines = comparison_table(
        "speed",
        [
            Comparison(setting="quick", ours_seconds=0.001, peer_seconds=0.003, must=2.0, aim=2.5),
            Comparison(setting="kept", ours_seconds=0.001, peer_seconds=0.0022, must=2.0, aim=2.5),
            Comparison(setting="slow", ours_seconds=0.002, peer_seconds=0.003, must=2.0),
            Comparison(setting="unpromised", ours_seconds=0.002, peer_seconds=0.001),
        ],
    ).splitlines()
    assert lines[0] == "speed"
    assert lines[2].split() == ["quick", "1.00", "3.00", "3.00", "2", "2.5", "aim", "reached"]
    assert lines[3].split()[-1] == "kept"
    assert lines[4].split()[-1] == "MISSED"
    assert lines[5].split() == ["unpromised", "2.00", "1.00", "0.50"]


def test_the_column_at_most_is_the_ratio_of_the_products_alone():
    plain = Comparison(setting="a", ours_seconds=2.0, peer_seconds=3.0)
    bounded = Comparison(setting="b", ours_seconds=2.0, peer_seconds=3.0, least_seconds=1.25)
    assert "at most" not in comparison_table("A table", [plain])
    assert [line.split() for line in comparison_table("A table", [plain, bounded]).splitlines()[2:]] == [
        ["a", "2000.00", "3000.00", "1.50"],
        ["b", "2000.00", "3000.00", "1.50", "2.40"],
    ]


def test_the_products_of_a_training_step_are_three_for_each_matrix():
    run = products_alone([(6, 4, 5), (6, 5, 3)], "bf16")
    with torch.profiler.profile(record_shapes=True) as profile:
        run()
    products = [tuple(map(tuple, event.input_shapes[:2])) for event in profile.events() if event.name == "aten::mm"]
    assert products == [
        ((6, 4), (4, 5)),
        ((6, 5), (5, 3)),
        ((6, 3), (3, 5)),
        ((3, 6), (6, 5)),
        ((6, 5), (5, 4)),
        ((5, 6), (6, 4)),
    ]
