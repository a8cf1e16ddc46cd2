"""The runner of mutants: what it changes, what it leaves alone, and who notices."""

import subprocess
import time

import pytest

from tests import mutants


def changed_lines(source):
    return {each.applied(source) for each in mutants.mutants_of("a.py", source)}


@pytest.mark.parametrize(
    ("source", "broken"),
    [
        ("a = x < 7", {"a = (x <= 7)", "a = x < 8"}),
        ("a = x + y", {"a = (x - y)"}),
        ("a = x and y", {"a = (x or y)"}),
        ("a = not x", {"a = x"}),
        ("a = ü(0.5)", {"a = ü(1.0)"}),
        ("def f(x=True): return x", {"def f(x=False): return x", "def f(x=True): return None"}),
        ("f(x, y=a, z=b)", {"f(x,  z=b)", "f(x, y=a, )", "pass"}),
        ("if x:\n    y += 1", {"if (not (x)):\n    y += 1", "if x:\n    pass", "if x:\n    y += 2"}),
        ("for x in y:\n    break", {"for x in y:\n    pass"}),
        ("raise E('a' + b, 3)", {"pass"}),
    ],
)
def test_each_change_is_one_edit(source, broken):
    assert changed_lines(source) == broken


@pytest.mark.parametrize(
    "source",
    [
        '"""Text."""',
        "x: Literal[1, 2]",
        "def f(x: int | None) -> Literal[3]: ...",
        "@dataclass(frozen=True)\nclass A: ...",
        "x = f'{1 + 2}'",
        "if TYPE_CHECKING:\n    import a",
        "assert x == 1",
        "x = typer.Option(min=1)",
    ],
)
def test_what_is_no_behaviour_is_left_alone(source):
    assert changed_lines(source) == set()


def test_a_module_meets_its_own_tests_first():
    assert mutants.tests_for("gemini_workshop/evaluation/sandbox/server.py") == [["tests/evaluation/sandbox"]]
    assert mutants.tests_for("gemini_workshop/reading.py")[0] == ["tests/test_reading.py"]
    assert mutants.tests_for("gemini_workshop/evaluation/passk.py")[0][0] == "tests/evaluation/test_passk.py"


def test_the_same_seed_is_the_same_sample():
    few = mutants.sample(5, 3, ["diagnostics"])
    assert few == mutants.sample(5, 3, ["diagnostics"]) != mutants.sample(5, 4, ["diagnostics"])
    assert {each.path for each in few} == {"gemini_workshop/diagnostics.py"}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A repository of two functions, a test of one of them, and a test that always fails."""
    files = {
        "gemini_workshop/a.py": "def f(x):\n    return x + 1\n\n\ndef g(x):\n    return x - 1\n",
        "tests/test_a.py": "from gemini_workshop.a import f\ndef test_no(): assert 0\ndef test_f(): assert f(1) == 2\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    monkeypatch.setattr(mutants, "TOP", tmp_path)
    bench = mutants.Bench(600.0)
    yield bench
    bench.close()
    assert not bench.folder.exists()


def test_a_noticed_change_is_killed_and_another_survives(bench, monkeypatch):
    file = bench.folder / "gemini_workshop" / "a.py"
    source = file.read_text()

    def first_failure(tests, until):
        if "a::test_no" not in bench.useless and tests != ["a::test_f"]:
            return "a::test_no"
        return "" if "x + 1" in file.read_text() else "a::test_f"

    monkeypatch.setattr(bench, "_first_failure", first_failure)
    operators = [each for each in mutants.mutants_of("gemini_workshop/a.py", source) if each.kind == "operator"]
    fates = {each.line: bench.fate(each) for each in operators}
    assert fates == {2: ("killed", "a::test_f"), 6: ("survived", "")}
    assert file.read_text() == source
    assert (bench.useless, bench.useful) == ({"a::test_no"}, {"a::test_f"})
    assert bench.difference(operators[0]) == "@@ -2 +2 @@\n-    return x + 1\n+    return (x - 1)"


def test_what_takes_too_long_is_undecided(bench, monkeypatch):
    monkeypatch.setattr(bench, "_first_failure", lambda tests, until: mutants.OUT_OF_TIME)
    (first, *_) = mutants.mutants_of("gemini_workshop/a.py", "x = a + b")
    (bench.folder / "gemini_workshop" / "a.py").write_text("x = a + b")
    assert bench.fate(first) == ("undecided", "")


def test_the_first_failing_test_is_named(bench):
    until = time.monotonic() + 600
    assert bench._first_failure(["tests/test_a.py"], until) == "tests/test_a.py::test_no"
    bench.useless.add("tests/test_a.py::test_no")
    assert bench._first_failure(["tests/test_a.py"], until) == ""


def test_the_report_counts_by_part_and_shows_survivors():
    same = {"path": "gemini_workshop/data/a.py", "line": 3, "kind": "constant", "diff": "-1\n+2"}
    text = mutants.report([{**same, "fate": "killed"}, {**same, "fate": "survived"}])
    assert "data               1 of 2 killed" in text
    assert "survived: gemini_workshop/data/a.py:3 (constant)\n-1\n+2" in text
