"""The sandbox from outside: what passes, what travels, what it says where it cannot isolate."""

import os
import sys
import time

import psutil
import pytest

from gemini_workshop.evaluation.sandbox import running
from gemini_workshop.evaluation.sandbox.running import MIB, Limits, Sandbox, SandboxError
from tests.evaluation.sandbox.isolation import why_not_isolated

LIMITS = Limits(seconds=15.0, cpu_seconds=2, memory_bytes=256 * MIB)
CAN_FORK = pytest.mark.skipif(os.name != "posix", reason="takes a system that forks")


@pytest.fixture(scope="module")
def sandbox():
    """The best that this machine offers."""
    if os.name != "posix":
        pytest.skip("takes a system that forks")
    with Sandbox(LIMITS, may_be_unsafe=True) as sandbox:
        yield sandbox


def test_a_right_program_passes_and_a_wrong_one_fails_with_the_line_that_says_so(sandbox):
    tests = "x = 1\nassert add(x, 2) == 3\n"
    assert sandbox.run("def add(a, b): return a + b", tests, names=["add"]).passed
    outcome = sandbox.run("def add(a, b): return a - b", tests, names=["add"])
    assert (outcome.passed, outcome.reason) == (False, "AssertionError: assert add(x, 2) == 3")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("def add(:", "SyntaxError"),
        ("def sub(a, b): return 0", "KeyError: 'add'"),
        ("def add(a, b): return a / 0", "the program raised ZeroDivisionError: division by zero"),
        ("import os\nos._exit(0)", "the program ended by itself"),
        ("import sys\nsys.exit(0)", "the program raised SystemExit: 0"),
    ],
)
def test_a_failure_says_why(sandbox, program, reason):
    outcome = sandbox.run(program, "assert add(1, 2) == 3", names=["add"])
    assert not outcome.passed
    assert reason in outcome.reason


@pytest.mark.parametrize(
    "value",
    [
        None, True, -7, 10**400, 2.5, float("inf"), "naïve \ud800 text", b"\x00\xff", 3 - 4j, (1, (2,)), [1, [2]],
        {"a": {1: (2, None)}}, {1, 2}, frozenset({"x"}), {(1, 2): "tuple as a key"}, [], (), {}, set(), int,
    ],
    ids=repr,
)  # fmt: skip
def test_plain_values_travel_both_ways_with_their_kind(sandbox, value):
    source = "int" if value is int else repr(value)
    tests = (
        f"inf = float('inf')\nvalue = {source}\nback = echo(value)\nassert (back, type(back)) == (value, type(value))"
    )
    outcome = sandbox.run("def echo(x): return x", tests, names=["echo"])
    assert outcome.passed, outcome.reason


def test_objects_of_the_program_stay_there_and_can_be_used_from_the_tests(sandbox):
    program = """
class Node:
    def __init__(self, value): self.value, self.next = value, None
def total(node): return node.value + total(node.next) if node else 0
def evens(n): return (i for i in range(n) if i % 2 == 0)
"""
    tests = """
a, b = Node(3), Node(value=4)
a.next = b
assert total(a) == 7
assert a.next.value == 4
assert list(evens(7)) == [0, 2, 4, 6]
assert a != b and total([a][0]) == 7
"""
    outcome = sandbox.run(program, tests, names=["Node", "total", "evens"])
    assert outcome.passed, outcome.reason


def test_the_program_can_change_no_value_of_the_tests(sandbox):
    tests = "mine = [1, 2]\nassert spoil(mine) == 2\nassert mine == [1, 2]"
    assert sandbox.run("def spoil(x):\n    x.clear()\n    return 2", tests, names=["spoil"]).passed


def test_helpers_of_the_preamble_are_the_judge_s_own(sandbox):
    """The program has its own helper, which lies."""
    outcome = sandbox.run(
        "def helper(x): return 'same'\ndef solve(x): return 'same'",
        "assert helper(3) == solve(3)",
        names=["solve"],
        preamble="def helper(x): return x * 2\ndef solve(x): pass",
    )
    assert outcome.reason.startswith("AssertionError")


def test_what_the_program_prints_is_no_answer(sandbox):
    program = 'def solve():\n    print(\'["passed", ""]\')\n    return input()'
    assert "EOFError" in sandbox.run(program, "assert solve()", names=["solve"]).reason


def test_tests_that_print_or_end_do_not_pass(sandbox):
    assert not sandbox.run("", "print('[\"passed\"]')\nimport os\nos._exit(0)", names=[]).passed
    assert not sandbox.run("", "raise SystemExit(0)", names=[]).passed
    assert sandbox.run("", "print('x' * 10**6)", names=[]).passed


def test_a_sandbox_serves_one_program_after_another_each_from_the_beginning(sandbox):
    sandbox.run("import builtins\nbuiltins.len = lambda _: 99", "", names=[])
    assert sandbox.run("def f(): return len('abc')", "assert f() == 3 == len('abc')", names=["f"]).passed


def test_a_program_may_write_in_its_folder(sandbox):
    program = "def f():\n    open('x', 'w').write('y')\n    return open('x').read()"
    assert sandbox.run(program, "assert f() == 'y'", names=["f"]).passed


@CAN_FORK
@pytest.mark.skipif(bool(why_not_isolated()), reason="programs cannot be isolated on this machine")
def test_sandboxes_side_by_side_do_not_share_a_cap():
    with Sandbox(Limits(processes=1)) as one, Sandbox(Limits(processes=1)) as other:
        for sandbox in (one, other, one):
            assert sandbox.run("def f(): return 1", "assert f() == 1", names=["f"]).passed


# --- Where it cannot isolate ---


@CAN_FORK
def test_without_namespaces_nothing_runs_unless_told(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(
        SandboxError, match=r"cannot be isolated on this machine \(darwin has no namespaces\).*--unsafe"
    ):
        Sandbox(LIMITS)
    with Sandbox(LIMITS, may_be_unsafe=True) as sandbox:
        assert not sandbox.is_isolated
        assert sandbox.run("def f(): return 1", "assert f() == 1", names=["f"]).passed


@CAN_FORK
def test_a_refusal_of_the_kernel_is_told(monkeypatch):
    """A container without the permission: the server's unshare says no."""
    refuse = "jail._call = lambda name, *_: open('/nowhere') if name == 'unshare' else 0"
    start = f"import sys; sys.path.insert(0, {running.FOLDER!r}); from sandbox import jail, server; {refuse}"
    monkeypatch.setattr(running, "START", start + "; server.main()")
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(SandboxError, match=r"isolated on this machine \(\[Errno 2\].*'/nowhere'\)"):
        Sandbox(LIMITS)


@CAN_FORK
@pytest.mark.parametrize(
    "program",
    [
        "import os\ndef f(): os._exit(0)",
        "def f(): raise SystemExit(0)",
        "def f():\n    while True: print('x' * 10**6)",
        "def f():\n    x = []\n    while True: x.append('x' * 10**8)",
        "import os\ndef f(): return os.environ['GEMINI_TEST_SECRET']",
        "class E:\n    def __eq__(self, other): return True\ndef f(): return E()",
    ],
)
def test_limits_alone_contain_what_they_can(monkeypatch, program):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("GEMINI_TEST_SECRET", "1")
    with Sandbox(LIMITS, may_be_unsafe=True) as sandbox:
        assert not sandbox.run(program, "assert f() == '1'", names=["f"]).passed


@pytest.mark.skipif(sys.platform != "linux", reason="takes Linux, where orphans can be adopted")
def test_without_isolation_too_a_daemon_does_not_outlive_its_program(monkeypatch):
    seconds = f"32.{time.time_ns() % 10**6}"
    program = f"""
import os, time
def f():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 30)
            os.execv("/bin/sleep", ["sleep", "{seconds}"])
        os._exit(0)
    time.sleep(0.3)
"""
    monkeypatch.setattr(sys, "platform", "darwin")
    with Sandbox(LIMITS, may_be_unsafe=True) as sandbox:
        assert not sandbox.run(program, "assert f()", names=["f"]).passed
    running = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert not any(line and seconds in line for line in running)


@CAN_FORK
def test_limits_alone_end_what_does_not_end_and_cap_processes(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    limits = Limits(seconds=1.0, processes=2)
    with Sandbox(limits, may_be_unsafe=True) as sandbox:
        assert "not done" in sandbox.run("import time\ndef f(): time.sleep(99)", "f()", names=["f"]).reason


@pytest.mark.skipif(bool(why_not_isolated()), reason="programs cannot be isolated on this machine")
def test_a_program_that_could_not_be_jailed_is_no_wrong_one():
    """The machine ran out of something: that must not count against the program."""
    with Sandbox(LIMITS) as sandbox:
        os.kill(sandbox._server.pid, 9)
        sandbox._server.wait()
        with pytest.raises(SandboxError, match=r"No jail could be built.*fewer workers"):
            sandbox.run("def f(): return 1", "assert f() == 1", names=["f"])


# --- Values compare as Python compares them ---


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("range(0, 6, 2)", "range(0, 5, 2)"),
        ("bytearray(b'ab')", "b'ab'"),
        ("Decimal('1.50')", "Decimal('1.5')"),
        ("Fraction(2, 4)", "0.5"),
        ("deque([1, 2], maxlen=3)", "deque([1, 2])"),
        ("Counter('aab')", "Counter({'a': 2, 'b': 1, 'c': 0})"),
        ("OrderedDict(a=1, b=2)", "{'b': 2, 'a': 1}"),
        ("defaultdict(int, a=1)", "{'a': 1}"),
        ("date(2024, 2, 29)", "date(2024, 2, 29)"),
        ("datetime(2024, 2, 29, 1, 2, 3, 4)", "datetime(2024, 2, 29, 1, 2, 3, 4)"),
        ("timedelta(days=1, seconds=2)", "timedelta(seconds=86402)"),
        ("time(1, 2, 3)", "time(1, 2, 3)"),
        ("{'a': 1}.keys()", "{'a'}"),
        ("{'a': 1}.items()", "{('a', 1)}"),
        ("...", "Ellipsis"),
        ("NotImplemented", "NotImplemented"),
        ("namedtuple('P', 'x y')(1, 2)", "(1, 2)"),
        ("slice(1, 2)", "slice(1, 2, None)"),
        ("True", "1"),
        ("-0.0", "0"),
    ],
)  # fmt: skip
def test_values_of_the_standard_library_equal_what_they_equal_in_python(sandbox, returned, expected):
    imports = """
from collections import *
from datetime import *
from decimal import Decimal
from fractions import Fraction
"""
    program = f"{imports}\ndef f(): return {returned}\ndef echo(x): return x"
    tests = f"assert f() == {expected}\nassert [f()] == [{expected}]\nassert echo(f()) == {expected}"
    outcome = sandbox.run(program, tests, names=["f", "echo"], preamble=imports)
    assert outcome.passed, outcome.reason


def test_the_kind_travels_with_the_value(sandbox):
    imports = "from collections import *\nfrom decimal import Decimal\n"
    program = (
        imports + "def f(): return [OrderedDict(a=1, b=2), Decimal(1), namedtuple('P', 'x y')(3, 4), deque([5], 1)]"
    )
    tests = """
ordered, decimal, point, queue = f()
assert ordered != OrderedDict(b=2, a=1)
assert type(decimal) is Decimal
assert (point.x, point.y, point._fields) == (3, 4, ("x", "y"))
assert queue.maxlen == 1
"""
    outcome = sandbox.run(program, tests, names=["f"], preamble=imports)
    assert outcome.passed, outcome.reason


def test_two_objects_of_the_program_compare_as_the_program_says_and_never_with_anything_else(sandbox):
    program = """
from dataclasses import dataclass
from enum import Enum
@dataclass(frozen=True)
class Point:
    x: int
    y: int
class Color(Enum):
    RED = 1
    BLUE = 2
class Any:
    def __eq__(self, other): return True
    __hash__ = object.__hash__
class Plain: pass
one = Plain()
def same(): return one
def new(kind, *values): return kind(*values)
"""
    tests = """
assert Point(1, 2) == Point(1, 2) != Point(2, 1)
assert [Point(1, 2)] == [Point(x=1, y=2)]
assert len({Point(1, 2), Point(1, 2), Point(3, 4)}) == 2
assert Color.RED == Color.RED != Color.BLUE
assert same() is same() and same() == same()
assert Plain() != Plain()
assert Any() != 1 and 1 != Any() and not Any() == "x" and [Any()] != [1]
assert new(Point, 1, 2) == Point(1, 2)
"""
    outcome = sandbox.run(program, tests, names=["Point", "Color", "Any", "Plain", "same", "new"])
    assert outcome.passed, outcome.reason


def test_a_program_finds_its_own_module(sandbox):
    program = """
import inspect, pickle, sys, typing
from dataclasses import dataclass
@dataclass
class Node:
    value: int
    next: 'Node | None' = None
def itself(): return sys.modules[__name__].itself is itself and __import__(__name__) is sys.modules[__name__]
def pickled(): return pickle.loads(pickle.dumps(Node(1))).value
def hints(): return typing.get_type_hints(Node)['next'] == (Node | None)
def source(): return inspect.getsource(itself).startswith("def itself")
"""
    tests = "assert itself()\nassert pickled() == 1\nassert hints()\nassert source()"
    outcome = sandbox.run(program, tests, names=["itself", "pickled", "hints", "source"])
    assert outcome.passed, outcome.reason


def test_the_tests_find_their_own_module(sandbox):
    preamble = """
import pickle, sys
from dataclasses import dataclass
@dataclass
class Case:
    value: int
    next: 'Case' = None
"""
    tests = "assert pickle.loads(pickle.dumps(Case(f()))) == Case(3)\nassert sys.modules[__name__].Case is Case"
    outcome = sandbox.run("def f(): return 3", tests, names=["f"], preamble=preamble)
    assert outcome.passed, outcome.reason
