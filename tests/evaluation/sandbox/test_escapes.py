"""Programs that look for what is not theirs: earlier verdicts, the caller's keys, endless memory, ways to be heard."""

import ctypes
import os
import platform
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gemini_workshop.evaluation.sandbox import filters, running
from gemini_workshop.evaluation.sandbox.running import MIB, Limits, Sandbox
from tests.clone import TOP
from tests.evaluation.sandbox.isolation import why_not_isolated

pytestmark = pytest.mark.skipif(bool(why_not_isolated()), reason="programs cannot be isolated on this machine")

SMALL = Limits(seconds=10.0, cpu_seconds=2, memory_bytes=192 * MIB, processes=6, output_bytes=10_000)
FILTERED = pytest.mark.skipif(not filters.compiled_filter(), reason="takes libseccomp and its Python binding")


@pytest.fixture(scope="module", params=["filtered", "without a filter"])
def sandbox(request):
    """With the filter of system calls where there is one, and without: most holds either way."""
    if request.param == "filtered" and not filters.compiled_filter():
        pytest.skip("takes libseccomp and its Python binding")
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "filtered":
            patch.setattr(running, "compiled_filter", lambda: b"")
        sandbox = Sandbox(SMALL)
    with sandbox:
        yield sandbox


def answers(sandbox, program, expected):
    outcome = sandbox.run(program, f"assert solve() == {expected!r}, solve()", names=["solve"])
    assert outcome.passed, outcome.reason


# --- Verdicts ---

SEARCH = """
import ctypes, gc, re, sys

def found():
    frame = sys._getframe()
    while frame:
        yield repr(frame.f_locals)
        frame = frame.f_back
    things = gc.get_objects()
    for thing in things + [each for one in things for each in gc.get_referents(one)]:
        if isinstance(thing, (str, bytes, list, tuple, dict)):
            yield repr(thing)
    for page in {id(thing) >> 14 for thing in things}:
        yield repr(ctypes.string_at(page << 14, 1 << 14))

def solve():
    return any(re.search("needle4[1]7", text) for text in found())
"""


def test_no_ancestor_of_a_program_has_seen_an_earlier_verdict():
    with Sandbox(SMALL) as sandbox:
        outcome = sandbox.run("def solve(): return 1", "assert solve() == 'needle417'", names=["solve"])
        assert "needle417" in outcome.reason
        answers(sandbox, SEARCH, expected=False)


def test_the_search_finds_what_an_ancestor_holds():
    """So that the test above can fail."""
    ancestor = "needle417"
    space = {}
    exec(SEARCH, space)
    assert space["solve"]()
    assert ancestor


def test_the_verdict_that_comes_in_time_counts_and_no_other():
    """A judge and the server both write to the caller: an answer must never be taken for that of the next program."""
    with Sandbox(replace(SMALL, seconds=0.5)) as sandbox:
        for _ in range(2):
            late = sandbox.run("import time\ndef solve(): time.sleep(9)", "solve()", names=["solve"])
            assert late.reason == "not done within 0.5 seconds"
            assert sandbox.run("def solve(): return 1", "assert solve() == 1", names=["solve"]).passed
            ended = sandbox.run("", "import os\nos._exit(0)", names=[])
            assert (ended.passed, ended.reason) == (False, "the tests ended before their verdict")


# --- The caller's keys ---

KEYCTL = {"x86_64": (250, 248), "aarch64": (219, 217)}.get(platform.machine())
SESSION = -3


@pytest.mark.skipif(KEYCTL is None, reason="the numbers of these system calls are not known here")
def test_the_session_keyring_of_the_caller_is_another_one(sandbox):
    libc = ctypes.CDLL(None, use_errno=True)
    keyctl, add_key = KEYCTL
    key = libc.syscall(add_key, b"user", b"gemini-test", b"secret", 6, SESSION)
    if key < 0:
        pytest.skip("there are no keyrings here")
    try:
        program = f"""
import ctypes
def solve():
    libc, secret = ctypes.CDLL(None), ctypes.create_string_buffer(6)
    number = libc.syscall({keyctl}, 10, {SESSION}, b"user", b"gemini-test", 0)
    return [number, libc.syscall({keyctl}, 11, {key}, secret, 6), secret.value]
"""
        with Sandbox(SMALL) as fresh:
            answers(fresh, program, expected=[-1, -1, b""])
    finally:
        libc.syscall(keyctl, 9, key, SESSION)


# --- Memory in all ---

HOARDERS = """
import os, time

def solve():
    for _ in range(3):
        if os.fork() == 0:
            hoard = bytearray(100 * 2**20)
            time.sleep(9)
            os._exit(0)
    time.sleep(9)
"""
SHARED = """
import ctypes
def solve():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    taken = 0
    for _ in range(8):
        segment = libc.shmget(0, 64 * 2**20, 0o1600)
        place = libc.shmat(segment, None, 0) if segment >= 0 else None
        if place and place != 2**64 - 1:
            ctypes.memset(place, 1, 64 * 2**20)
            libc.shmdt(ctypes.c_void_p(place))
            taken += 64
    return taken
"""
FILES_IN_MEMORY = """
import os, time
def solve():
    try:
        for _ in range(25):
            file = os.memfd_create("x")
            for _ in range(8):
                os.write(file, bytes(2**20))
    except PermissionError:
        return "refused"
    time.sleep(9)
"""


def test_children_share_one_limit_of_memory(sandbox):
    outcome = sandbox.run(HOARDERS, "solve()", names=["solve"])
    assert (outcome.passed, outcome.reason) == (False, "used more than 192 MiB in all its processes")
    assert outcome.seconds < 5


def test_no_memory_is_shared_beyond_the_limit(sandbox):
    if os.getuid() and not sandbox.is_filtered:
        pytest.skip("takes root or a filter")
    answers(sandbox, SHARED, expected=0)


def test_files_in_memory_count_or_are_refused(sandbox):
    outcome = sandbox.run(FILES_IN_MEMORY, "assert solve() == 'refused'", names=["solve"])
    assert outcome.passed or outcome.reason == "used more than 192 MiB in all its processes"


def test_an_answer_that_grows_does_not_take_the_judge_s_memory(sandbox):
    outcome = sandbox.run("def solve(): return range(10**12)", "assert list(solve()) == 1", names=["solve"])
    assert outcome.reason.startswith("MemoryError")


# --- Being heard ---

FAMILIES = """
import socket
def solve():
    opened = []
    for family in range(64):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                socket.socket(family, kind).close()
                opened.append(family)
            except OSError:
                pass
    return opened
"""
CALLS = """
import ctypes
def solve():
    libc = ctypes.CDLL(None, use_errno=True)
    refused = []
    for name, arguments in (("unshare", (0x10000000,)), ("ptrace", (0, 0, 0, 0)), ("shmget", (0, 4096, 0o1600)),
                            ("msgget", (0, 0o1600)), ("semget", (0, 1, 0o1600)), ("memfd_create", (b"x", 0)),
                            ("mount", (b"x", b"/box", b"tmpfs", 0, None)), ("chroot", (b"/box",))):
        if getattr(libc, name)(*arguments) == -1 and ctypes.get_errno() in (1, 38):
            refused.append(name)
    return len(refused)
"""


@FILTERED
def test_no_family_of_sockets_is_open():
    with Sandbox(SMALL) as sandbox:
        assert sandbox.is_filtered
        answers(sandbox, FAMILIES, expected=[])


@FILTERED
def test_calls_that_no_program_needs_are_refused():
    with Sandbox(SMALL) as sandbox:
        answers(sandbox, CALLS, expected=8)


def test_what_programs_need_of_the_system_still_works(sandbox):
    program = """
import asyncio, subprocess, tempfile, threading, time
async def soon(value):
    await asyncio.sleep(0.001)
    return value
def solve():
    done = []
    thread = threading.Thread(target=done.append, args=("thread",))
    thread.start()
    thread.join()
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    shown = subprocess.run(["/bin/echo", "process"], capture_output=True, text=True).stdout.strip()
    return [asyncio.run(soon("loop")), shown, *done]
"""
    answers(sandbox, program, expected=["loop", "process", "thread"])


def test_without_the_library_there_is_no_filter_and_the_sandbox_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "seccomp", None)
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    assert filters.compiled_filter() == b""
    with Sandbox(SMALL) as sandbox:
        assert sandbox.is_isolated
        assert not sandbox.is_filtered


@pytest.mark.parametrize(
    "text",
    [
        "\\x1b[2J\\x1b[31mred",
        "X\\n100.0 %  passed",
        "X\\rpassed",
        "X\\u202edessap",
        "X\\x00",
        "X\\u2028passed",
        "\\ud800",
    ],
)
def test_a_reason_is_one_line_that_a_terminal_only_prints(sandbox, text):
    program = f"def solve():\n    raise type('{text}', (Exception,), {{}})('{text}')"
    outcome = sandbox.run(program, "solve()", names=["solve"])
    assert outcome.reason.startswith("the program raised ")
    assert outcome.reason.isprintable()
    outcome = sandbox.run(f"def solve(): return '{text}'", "assert not solve(), solve()", names=["solve"])
    assert outcome.reason.startswith("AssertionError")
    assert outcome.reason.isprintable()


# --- Answers that lie on the disk ---


def test_no_installed_package_and_no_file_of_the_caller_is_readable(sandbox):
    program = f"""
import glob, os, sys
def solve():
    seen = [name for name in ("/etc/passwd", "/home", "/proc", "/tmp", "/var", {str(Path(running.__file__))!r})
            if os.path.exists(name)]
    for prefix in {{"/usr", "/usr/local", sys.base_prefix}}:
        for packages in glob.glob(prefix + "/lib*/python*/*-packages/*"):
            seen.append(packages)
    return seen
"""
    answers(sandbox, program, expected=[])


# --- What is given up, seen from inside ---


def test_privileges_capabilities_and_core_dumps_are_gone_for_good(sandbox):
    program = """
import ctypes, resource
def solve():
    libc = ctypes.CDLL(None)
    held = (ctypes.c_uint32 * 6)()
    libc.capget((ctypes.c_uint32 * 2)(0x20080522, 0), held)
    return [libc.prctl(39, 0, 0, 0, 0), list(held), resource.getrlimit(resource.RLIMIT_CORE)]
"""
    answers(sandbox, program, expected=[1, [0] * 6, (0, 0)])


def test_the_root_is_read_only_and_makes_nobody_another_user(sandbox):
    program = """
import os
def solve():
    flags = [os.statvfs(place).f_flag for place in ("/", "/usr/lib", "/box")]
    return [[bool(flag & os.ST_RDONLY), bool(flag & os.ST_NOSUID)] for flag in flags]
"""
    answers(sandbox, program, expected=[[True, True], [True, True], [False, True]])


def test_only_the_program_s_own_files_are_open(sandbox):
    """Its standard streams and the two by which it answers; what else the server and the judge hold is closed."""
    program = """
import os, stat
def solve():
    pipes = 0
    for number in range(3, 1024):
        try:
            pipes += stat.S_ISFIFO(os.fstat(number).st_mode)
        except OSError:
            pass
    return pipes
"""
    answers(sandbox, program, expected=2)


def test_long_programs_and_answers_travel_whole(sandbox):
    program = f"text = {'x' * 2_500_000!r}\ndef solve(): return len(text)"
    answers(sandbox, program, expected=2_500_000)
    answers(sandbox, "def solve(): return 'y' * 1_000_000", expected="y" * 1_000_000)


def test_the_limits_are_those_of_the_page():
    limits, page = Limits(), (TOP / "docs" / "evaluation.md").read_text("utf-8")
    assert limits == Limits(
        seconds=10.0,
        cpu_seconds=10,
        memory_bytes=512 * MIB,
        processes=8,
        file_bytes=8 * MIB,
        open_files=32,
        folder_bytes=32 * MIB,
        folder_files=256,
        output_bytes=256 * 1024,
    )
    for sentence in (
        "32 MiB and 256 files",
        "8 processes or threads, 512 MiB of address space",
        "10 seconds, of the clock",
    ):
        assert sentence in page
