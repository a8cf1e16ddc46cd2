"""Answers that hang, crash, lie or break Python: the verdict is right, and the notebook's process is as before."""

import builtins
import copy
import ctypes
import inspect
import io
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.exercises.core import comparison, isolation
from gemini_workshop.exercises.core.attempt import Attempt
from gemini_workshop.exercises.core.exercise import Exercise
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.pristine import put_back, remember
from gemini_workshop.exercises.core.verdict import Outcome


def double(x: torch.Tensor) -> torch.Tensor:
    """Twice x."""
    return 2 * x


def _oracle(x):
    return torch.add(x.double(), x.double())


EXERCISE = Exercise(
    id="99.1",
    minutes=1,
    difficulty=1,
    importance=1,
    reference=double,
    oracle=_oracle,
    cases=lambda generator: [(torch.tensor([1.0, 2.0]),), (torch.randn(2, 3, generator=generator),)],
    hints=("one", "two", "three"),
)


@pytest.fixture(autouse=True, scope="module")
def remembered():
    from gemini_workshop.exercises.core.catalogue import all_exercises

    remember([*all_exercises().values(), EXERCISE])
    yield
    remember(all_exercises().values())


@pytest.fixture(params=["process", "thread"])
def way(request, monkeypatch):
    """Judged in a process of its own, and in a thread, as on Windows."""
    if request.param == "thread":
        monkeypatch.setattr(isolation.sys, "platform", "win32")
    return request.param


@pytest.fixture(autouse=True)
def kernel_is_as_before():
    """Compares what hostile code may change, and then changes it back, so that one failure is one failure."""
    before = _state()
    yield
    after = _state()
    assert {name: value for name, value in after.items() if value != before[name]} == {}


def _state():
    generators = torch.get_rng_state().tolist(), str(np.random.get_state())  # beartype draws from Python's own
    return {
        "names": [*map(id, (builtins.len, builtins.isinstance, builtins.print, builtins.sum, builtins.type))],
        "torch": [*map(id, (torch.allclose, torch.add, torch.softmax, F.softmax, torch.Tensor.__eq__))],
        "ours": [id(comparison.same), id(inspect.unwrap(comparison.same).__code__), id(EXERCISE.oracle)],
        "settings": (torch.get_default_dtype(), torch.is_grad_enabled(), sys.getrecursionlimit(), os.getcwd()),
        "torch's": (torch.are_deterministic_algorithms_enabled(), torch._C._len_torch_function_stack()),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "environment": dict(os.environ) | {"PYTEST_CURRENT_TEST": ""},
        "filters": list(warnings.filters),
        "generators": generators,
        "interrupt": signal.getsignal(signal.SIGINT),
    }


# --- Code that breaks something on the way to a wrong answer ----------------------------------------------------------


class Liar:
    """Equal to everything, and any number that is wanted."""

    def __eq__(self, other):
        return True

    __hash__ = None

    def __float__(self):
        return 2.0

    def __len__(self):
        return 2


class LyingFloat(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__

    def __float__(self):
        return 2.0


class LyingList(list):
    def __eq__(self, other):
        return True

    __hash__ = None

    def __iter__(self):
        return iter([2.0, 4.0])


class LyingTensor(torch.Tensor):
    """Whatever is asked about it, the answer is about twice the numbers."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            args = [2 * a.as_subclass(torch.Tensor) if type(a) is LyingTensor else a for a in args]
            return function(*args, **(kwargs or {}))


class LyingMode(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        return True if function is torch.allclose else function(*args, **(kwargs or {}))


def always(*args, **kwargs):
    return True


def replaced(owner, name, value):
    return lambda: setattr(owner, name, value)


def other_insides():
    inspect.unwrap(comparison.same).__code__ = (lambda got, expected: True).__code__


BREAK = {
    "len": replaced(builtins, "len", lambda x: 0),
    "isinstance": replaced(builtins, "isinstance", always),
    "all": replaced(builtins, "all", always),
    "bool": replaced(builtins, "bool", always),
    "print": replaced(builtins, "print", None),
    "sum": replaced(builtins, "sum", None),
    "type": replaced(builtins, "type", None),
    "allclose": replaced(torch, "allclose", always),
    "isclose": replaced(torch, "isclose", always),
    "as_tensor": replaced(torch, "as_tensor", lambda value: torch.zeros(2)),
    "equal": replaced(torch, "equal", always),
    "softmax": replaced(F, "softmax", None),
    "Tensor.double": replaced(torch.Tensor, "double", lambda self: torch.zeros(2)),
    "Tensor.__eq__": replaced(torch.Tensor, "__eq__", always),
    "same": replaced(comparison, "same", always),
    "_same_tensors": replaced(comparison, "_same_tensors", always),
    "same's code": other_insides,
    "oracle": lambda: object.__setattr__(EXERCISE, "oracle", lambda x: x),
    "oracle's tools": replaced(torch, "add", lambda a, b: a),
    "copy": replaced(copy, "deepcopy", lambda x: x),
    "exit": replaced(os, "_exit", lambda code: None),
    "dtype": lambda: torch.set_default_dtype(torch.float16),
    "device": lambda: torch.set_default_device("meta"),
    "mode": lambda: LyingMode().__enter__(),
    "gradients": lambda: torch.set_grad_enabled(False),
    "recursion": lambda: sys.setrecursionlimit(100),
    "stdout": replaced(sys, "stdout", None),
    "environment": lambda: os.environ.clear(),
    "folder": lambda: os.chdir("/"),
    "warnings": lambda: warnings.simplefilter("error"),
    "seed": lambda: (torch.manual_seed(0), random.seed(0), np.random.seed(0)),
}


@pytest.mark.parametrize("name", BREAK)
def test_what_an_answer_breaks_does_not_let_it_pass_and_does_not_last(name):
    def wrong(x):
        BREAK[name]()
        return x

    assert judge(EXERCISE, wrong).outcome != Outcome.PASSED


@pytest.mark.parametrize(("name", "times"), [(None, 1), ("seed", 1), ("softmax", 2), ("len", 2)])
def test_an_answer_is_judged_again_with_more_care_if_it_has_changed_a_name(name, times, tmp_path):
    def right(x):
        (tmp_path / str(os.getpid())).touch()
        if name:
            BREAK[name]()
        return x + x

    assert judge(EXERCISE, right).outcome == Outcome.PASSED
    assert len(list(tmp_path.iterdir())) == times


def test_in_a_thread_the_same_holds_for_all_of_them_and_for_right_answers_too(monkeypatch):
    monkeypatch.setattr(isolation.sys, "platform", "win32")
    for name, breaks in BREAK.items():

        def wrong(x, breaks=breaks):
            breaks()
            return x

        def right(x, breaks=breaks):
            breaks()
            return torch.stack([x, x]).sum(0)

        assert judge(EXERCISE, wrong).outcome != Outcome.PASSED, name
        outcome = Outcome.WRONG if name == "gradients" else Outcome.PASSED  # that one cannot be trained
        assert judge(EXERCISE, right).outcome == outcome, name


@pytest.mark.parametrize(
    "name", [name for name in BREAK if name not in ("len", "type")]
)  # pytest's beartype needs them
def test_what_a_cell_broke_before_the_check_does_not_count_and_stays_as_the_cell_left_it(name):
    def cell():
        BREAK[name]()
        broken = _state()
        outcomes = [judge(EXERCISE, lambda x: x).outcome.value, judge(EXERCISE, lambda x: x + x).outcome.value]
        after = _state()
        put_back()
        return f"{outcomes} {[part for part, value in after.items() if value != broken[part]]}".encode()

    assert isolation._in_a_process(cell, 30.0).decode() == "['wrong answer', 'passed'] []"


@pytest.mark.parametrize(
    "lie",
    [
        lambda x: Liar(),
        lambda x: LyingList([1.0, 2.0]),
        lambda x: [Liar(), Liar()],
        lambda x: x.as_subclass(LyingTensor),
        lambda x: torch.nn.Parameter(x).as_subclass(LyingTensor),
        lambda x: np.array([Liar(), Liar()], dtype=object),
    ],
)
def test_a_result_that_lies_about_itself_is_not_believed(lie, way):
    assert judge(EXERCISE, lie).outcome == Outcome.WRONG


@pytest.mark.parametrize("lie", [Liar, lambda: LyingFloat(7), lambda: torch.tensor(7.0).as_subclass(LyingTensor)])
def test_a_number_that_lies_is_not_believed(lie, way):
    number = Exercise(
        id="99.2",
        minutes=1,
        difficulty=1,
        importance=1,
        reference=math.sqrt,
        oracle=lambda x: x**0.5,
        cases=lambda generator: [(4.0,)],
        hints=("one", "two", "three"),
    )
    verdict = judge(number, lambda x: lie())
    assert verdict.outcome == Outcome.WRONG


# --- Code that does not come back -------------------------------------------------------------------------------------


class SilentError(Exception):
    def __str__(self):
        raise RuntimeError("no message")


class Unstoppable(BaseException):
    pass


def raises(error):
    def answer(x):
        raise error

    return answer


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (SystemExit(3), "SystemExit: 3"),
        (GeneratorExit("x"), "GeneratorExit: x"),
        (Unstoppable("why"), "Unstoppable: why"),
        (SilentError(), "SilentError (whose own message fails)"),
        (StopIteration(1), "StopIteration: 1"),
        (MemoryError(), "MemoryError"),
        (ValueError("a\x1b[31mred\x1b[0m\x07 \ud800 \u202ereversed"), "ValueError: ared� � �reversed"),
    ],
)
def test_any_error_is_told_with_the_line(error, said, way):
    verdict = judge(EXERCISE, raises(error))
    assert verdict.outcome == Outcome.ERROR
    assert verdict.lines[0].endswith("`raise error`")
    assert verdict.lines[1].rstrip(": ") == said


def test_a_message_of_20_megabytes_is_cut_short(way):
    verdict = judge(EXERCISE, raises(ValueError("long " * 4_000_000)))
    assert len(str(verdict)) < 1500
    assert len(verdict._repr_mimebundle_()["text/html"]) < 2500


def test_printing_without_end_is_cut_short(way):
    def prints(x):
        for _ in range(2000):
            print("\x1b[2J<b>" + "long " * 10_000)
        print("more", file=sys.stderr)
        return 2 * x

    verdict = judge(EXERCISE, prints)
    assert verdict.outcome == Outcome.PASSED
    assert len(verdict.printed) < 5000
    assert "\x1b" not in str(verdict)
    assert "<b>" not in verdict._repr_mimebundle_()["text/html"].removeprefix("<div").partition("Your code")[2]


def loops(x):
    while True:
        pass


def loops_and_catches_all(x):
    end = time.monotonic() + 6  # so that the thread of the other way ends some time
    while time.monotonic() < end:
        try:  # noqa: SIM105 (as learners write it)
            time.sleep(0.01)
        except:  # noqa: E722
            pass


def sleeps(x):
    time.sleep(3)


@pytest.mark.parametrize("answer", [loops, loops_and_catches_all, sleeps])
def test_what_does_not_come_back_is_told_with_its_line_and_printing_goes_on(answer, way, capsys):
    begun = time.monotonic()
    verdict = judge(EXERCISE, answer, limit_seconds=0.3)
    assert time.monotonic() - begun < 5
    assert verdict.outcome == Outcome.ERROR
    assert verdict.lines[0].startswith("It did not come back within 0.3 seconds.")
    assert verdict.lines[1].startswith("Then it was here: Line ")
    print("alive")
    assert capsys.readouterr().out == "alive\n"
    assert judge(EXERCISE, lambda x: x + x).outcome == Outcome.PASSED


def test_what_takes_too_long_outside_of_the_answer_is_not_blamed_on_a_line(way):
    slow = replace(EXERCISE, oracle=eval("lambda x: time.sleep(3)", {"time": time}))  # noqa: S307 (of no file)
    verdict = judge(slow, lambda x: x + x, limit_seconds=0.3)
    assert verdict.lines[1].startswith("No line of yours was running then.")


def test_what_comes_back_long_after_its_check_leaves_the_streams_alone(monkeypatch):
    monkeypatch.setattr(isolation.sys, "platform", "win32")
    before = threading.enumerate()
    assert judge(EXERCISE, lambda x: time.sleep(1.6), limit_seconds=0.2).outcome == Outcome.ERROR
    (late,) = (thread for thread in threading.enumerate() if thread not in before)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.StringIO())
    streams = sys.stdout, sys.stderr
    late.join()
    assert (sys.stdout, sys.stderr) == streams


def test_a_call_takes_away_only_the_streams_that_it_has_set(monkeypatch):
    before, others = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", before)
    Attempt(lambda x: x)(1.0)
    assert sys.stdout is before
    Attempt(lambda x: monkeypatch.setattr(sys, "stdout", others) or x)(1.0)
    assert sys.stdout is others


def test_what_holds_on_to_python_itself_is_killed():
    begun = time.monotonic()
    verdict = judge(EXERCISE, lambda x: 3 ** (3**17), limit_seconds=0.3)
    assert time.monotonic() - begun < 5
    assert verdict.lines[0].startswith("It did not come back within 0.3 seconds.")


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (lambda: os._exit(0), "`os._exit`"),
        (lambda: ctypes.string_at(0), "segmentation fault"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "killed it"),
        (lambda: os.abort(), "SIGABRT"),
        (lambda: os.closerange(3, 1000), "closed the files"),
    ],
)
def test_what_ends_its_process_is_told_how(end, how):
    verdict = judge(EXERCISE, lambda x: end())
    assert verdict.outcome == Outcome.ERROR
    assert how in verdict.lines[1]


def test_memory_has_a_limit():
    verdict = judge(EXERCISE, lambda x: torch.zeros(10**12))
    assert verdict.outcome == Outcome.ERROR
    assert "memory" in verdict.lines[1]


def test_what_it_starts_does_not_outlive_the_check():
    def starts(x):
        threading.Thread(target=time.sleep, args=(60,)).start()
        subprocess.Popen(["sleep", "61.61"])
        if os.fork() == 0:
            return x  # the second process must not answer for the first
        time.sleep(0.2)
        return 2 * x

    threads = threading.active_count()
    assert judge(EXERCISE, starts).outcome == Outcome.PASSED
    assert threading.active_count() <= threads
    assert "61.61" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


def test_stopping_a_check_by_hand_ends_it_and_leaves_printing_alone(way, capsys):
    came_back: list[bool] = []

    def sleeps_often(x):
        for _ in range(20):
            time.sleep(0.05)
        came_back.append(True)

    threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT)).start()
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        judge(EXERCISE, sleeps_often)
    streams = sys.stdout, sys.stderr
    print("alive")
    assert capsys.readouterr().out == "alive\n"
    time.sleep(1)
    assert not came_back  # though Thread.join says of an interrupted thread that it has ended
    assert (sys.stdout, sys.stderr) == streams


def test_where_a_process_cannot_do_it_a_thread_does():
    here = os.getpid()

    def needs_the_gpu(x):
        if os.getpid() != here:
            raise RuntimeError("Cannot re-initialize CUDA in forked subprocess.")
        return 2 * x

    assert judge(EXERCISE, needs_the_gpu).outcome == Outcome.PASSED


# --- Results that are no ordinary tensors -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (lambda x: (2 * x).to_sparse(), "a sparse tensor"),
        (lambda x: torch.nested.nested_tensor([x, x]), "a nested tensor"),
        (lambda x: torch.quantize_per_tensor(2 * x, 0.1, 0, torch.qint8), "a quantized tensor"),
        (lambda x: (2 * x).to("meta"), 'the device "meta"'),
        (lambda x: (2 * x).numpy(), "a ndarray"),
        (lambda x: [2 * x], "a list"),
        (lambda x: [[x.tolist()]], "a list"),
        (lambda x: {"x": x}, "a dict"),
        (lambda x: (x, x.to_sparse()), "a sparse tensor"),
        (lambda x: (n for n in x), "a generator"),
        (lambda x: torch.relu, "a builtin_function_or_method"),
        (lambda x: (2 * x).to(torch.complex64), "type complex64"),
        (lambda x: Liar(), "a Liar"),
    ],
)
def test_a_result_of_another_kind_is_told_what_it_is(result, said, way):
    verdict = judge(EXERCISE, result)
    assert verdict.outcome == Outcome.WRONG
    assert said in verdict.lines[0]


def test_a_list_that_contains_itself_is_a_wrong_answer():
    def endless(x):
        result = []
        result.append(result)
        return result

    assert judge(EXERCISE, endless).outcome == Outcome.WRONG
