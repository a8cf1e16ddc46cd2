import pytest
import torch

from gemini_workshop.benchmarks import attention
from gemini_workshop.benchmarks.attention import FULL, MASKED, OURS, check_same, compare_memory, contestants, draw


@pytest.fixture(scope="module")
def tables():
    tables = attention.report(lengths=(65, 130), window_tokens=64, rounds=1, whole_lengths=(65,)).split("\n\n")
    return [table.splitlines() for table in tables]


def test_every_length_is_compared_with_both_peers_forward_and_backward(tables):
    rows = [line.split("tokens")[0].strip() + " tokens" for line in tables[0][2:]]
    assert rows == [
        f"{peer}, {what}, {length} tokens"
        for peer in (MASKED, FULL)
        for what in ("forward", "forward + backward")
        for length in (65, 130)
    ]


def test_both_tables_have_columns_for_must_and_aim_that_stay_empty_for_other_windows(tables):
    for header, *rows in (table[1:] for table in tables[:2]):
        assert header.split()[-2:] == ["must", "aim"]
        assert all(len(row) <= header.index("must") for row in rows)


def test_chunks_are_compared_in_both_number_formats(tables):
    assert [line.split("tokens")[0] for line in tables[2][2:]] == ["float32, 65 ", "bfloat16, 65 "]


def test_chunks_that_compute_something_else_are_not_timed(monkeypatch):
    monkeypatch.setattr(attention, "chunked_causal_attention", lambda query, key, value: value)
    with pytest.raises(AssertionError, match="not close"):
        attention.compare_chunks(65, 1)


def test_every_goal_is_printed(monkeypatch):
    monkeypatch.setattr(attention, "compare_memory", lambda *_: [""] * 7)
    monkeypatch.setattr(attention, "compare_chunks", lambda *_: [])
    monkeypatch.setattr(attention, "check_same", lambda *_: None)
    monkeypatch.setattr(attention, "draw", lambda length: [torch.zeros(1, 1, length, 1)] * 3)
    monkeypatch.setattr(attention, "cpu_seconds", lambda steps, **_: {OURS: 1.0, FULL: 2.0, MASKED: 9.0})
    lines = attention.report().splitlines()
    goals = [line.split("tokens")[1].split()[2:] for line in lines if "full causal, forward +" in line]
    assert goals == [
        ["2.00", "1.15", "1.4", "aim", "reached"],
        ["2.00", "1.5", "2.2", "kept"],
        ["2.00", "2", "3.5", "kept"],
    ]


def test_memory_is_what_each_holds_beyond_the_gradients():
    given = contestants(512)
    row = compare_memory(given, draw(1024), True)
    sizes = dict(zip(given, map(float, row[1:4]), strict=True))
    assert row[0] == "1024 tokens"
    assert row[4:] == ["", "", ""]
    assert sizes[MASKED] > 4 > 0  # the mask as numbers alone is 4 MiB
    assert sizes[FULL] < sizes[MASKED]


@pytest.mark.parametrize(("extra_mib", "verdict"), [(30, "aim reached"), (50, "kept"), (70, "MISSED")])
def test_the_memory_of_the_longest_text_is_judged(extra_mib, verdict, monkeypatch):
    inputs = [torch.zeros(1, 1, 8192, 1) for _ in range(3)]
    monkeypatch.setattr(attention, "peak_bytes", lambda _: extra_mib * 2**20 + sum(x.nbytes for x in inputs))
    assert compare_memory(contestants(512), inputs, True)[4:] == ["64", "40", verdict]


def test_contestants_that_disagree_are_not_timed():
    given = contestants(32)
    check_same(given, draw(64))
    with pytest.raises(AssertionError):
        check_same(given | {OURS: given[FULL]}, draw(64))
