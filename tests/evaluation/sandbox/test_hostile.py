"""Programs that mean harm. Each is contained, counts as a failure, and leaves the world as it was.

Every program defines ``solve``, which the test calls. The tests are such that only success in its mischief, or a forged
verdict, would let it pass.

None runs where programs cannot be isolated. The cap on processes is proved on sleepers before the fork bomb is tried.
"""

import os
import re
import socket
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from gemini_workshop.evaluation.sandbox.running import MIB, Limits, Sandbox
from tests.evaluation.sandbox.isolation import why_not_isolated

pytestmark = pytest.mark.skipif(bool(why_not_isolated()), reason="programs cannot be isolated on this machine")

SMALL = Limits(
    seconds=10.0,
    cpu_seconds=1,
    memory_bytes=192 * MIB,
    processes=4,
    file_bytes=MIB,
    folder_bytes=2 * MIB,
    folder_files=16,
    output_bytes=10_000,
)
SLEEPERS = """
import os, time

def solve():
    for started in range(6):
        try:
            if os.fork() == 0:
                time.sleep(5)
                os._exit(0)
        except OSError:
            return started
    return "no cap"
"""


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(SMALL) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def hasty_sandbox():
    with Sandbox(replace(SMALL, seconds=1.0)) as sandbox:
        yield sandbox


@pytest.fixture
def reason(sandbox):
    """Run a program that must fail; say why it did."""
    return lambda program, tests="assert solve() == 'done'": fails(sandbox, program, tests)


@pytest.fixture
def reason_soon(hasty_sandbox):
    """The same for a program that would never end."""
    return lambda program: fails(hasty_sandbox, program, "solve()")


def fails(sandbox, program, tests):
    outcome = sandbox.run(program, tests, names=["solve"])
    assert not outcome.passed
    return outcome.reason


# --- Too much of something ---


@pytest.fixture
def cap_on_processes(sandbox):
    """Sleepers first: three beside the program itself, which makes four."""
    outcome = sandbox.run(SLEEPERS, "assert solve() == 3, solve()", names=["solve"])
    if not outcome.passed:
        pytest.fail(f"The cap on processes does not hold, so no fork bomb is tried: {outcome.reason}")


def test_a_few_sleepers_meet_the_cap_on_processes(cap_on_processes):
    pass


def test_a_fork_bomb(cap_on_processes, reason_soon):
    program = """
import os
def solve():
    while True:
        try:
            os.fork()
        except OSError:
            pass
"""
    assert "not done within 1 seconds" in reason_soon(program)


def test_threads_without_end(reason):
    program = """
import threading, time
def solve():
    while True:
        threading.Thread(target=time.sleep, args=(9,)).start()
"""
    assert "can't start new thread" in reason(program)


def test_an_infinite_loop_meets_the_limit_of_processor_time(reason):
    assert reason("def solve():\n    while True: pass") == "the program was ended by signal 9"


def test_sleeping_for_ever_meets_the_clock(reason_soon):
    assert reason_soon("import time\ndef solve(): time.sleep(999)") == "not done within 1 seconds"


def test_an_infinite_loop_before_any_function_is_defined(reason_soon):
    assert "not done" in reason_soon("import time\nwhile True: time.sleep(1)")


def test_catching_every_exception_for_ever(reason_soon):
    program = """
import signal, time
def solve():
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            pass
"""
    assert reason_soon(program) == "not done within 1 seconds"


def test_a_memory_hog(reason):
    assert "MemoryError" in reason("def solve():\n    hoard = []\n    while True: hoard.append('x' * 10**8)")


def test_printing_a_gigabyte(reason):
    program = "def solve():\n    for _ in range(1000): print('x' * 10**6)\n    return 'done'"
    assert "printed more than 10,000 bytes" in reason(program)


def test_answering_with_a_gigabyte(reason):
    assert "MemoryError" in reason("def solve(): return 'x' * 10**9")
    assert "cannot be read" in reason("def solve(): return 'x' * 10**7")


def test_writing_a_huge_file(reason):
    program = """
def solve():
    with open("huge", "wb") as file:
        for _ in range(1000):
            file.write(bytes(10**6))
    return "done"
"""
    assert "File too large" in reason(program)


def test_filling_the_folder_with_files(reason):
    program = "def solve():\n    for i in range(10**5): open(str(i), 'w').close()\n    return 'done'"
    assert "No space left" in reason(program)


def test_filling_the_folder_with_bytes(reason):
    program = "def solve():\n    for i in range(9): open(str(i), 'wb').write(bytes(10**6))\n    return 'done'"
    assert "No space left" in reason(program)


def test_deep_recursion(reason):
    assert "RecursionError" in reason("def solve(): return solve()")


def test_a_crash_of_the_interpreter(reason):
    assert "ended by signal 11" in reason("import ctypes\ndef solve(): ctypes.string_at(0)")


def test_answering_with_something_nested_too_deeply(reason):
    program = "def solve():\n    x = []\n    for _ in range(10**5): x = [x]\n    return x"
    assert "RecursionError" in reason(program)


# --- Reaching out ---


def test_deleting_and_writing_files_outside_its_folder(reason, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for path in (tmp_path, victim):
        os.chmod(path, 0o777)
    os.chmod(tmp_path.parent, 0o711)
    program = f"""
import os, shutil
def solve():
    done = []
    for act in (lambda: os.remove({str(victim)!r}), lambda: shutil.rmtree({str(tmp_path)!r}),
                lambda: open({str(tmp_path / "new")!r}, "w"), lambda: open({str(victim)!r}, "a").write("!"),
                lambda: open("/usr/lib/new", "w"), lambda: open("/new", "w"), lambda: os.mkdir("/usr/new")):
        try:
            act()
            done.append(True)
        except OSError:
            pass
    return len(done)
"""
    assert reason(program, "assert solve() > 0").startswith("AssertionError")
    assert [path.name for path in tmp_path.iterdir()] == ["victim"]
    assert victim.read_text() == "precious"


def test_a_link_out_of_its_folder(reason, tmp_path):
    (tmp_path / "secret").write_text("done")
    os.chmod(tmp_path / "secret", 0o666)
    program = f"""
import os
def solve():
    os.symlink({str(tmp_path)!r}, "way-out")
    return open("way-out/secret").read()
"""
    assert "FileNotFoundError" in reason(program)


def test_its_folder_is_gone_with_it(reason):
    reason("def solve(): open('left-behind', 'w').write('x')")
    assert "FileNotFoundError" in reason("def solve(): return open('left-behind').read()")
    assert not Path("/box").exists()


NO_NETWORK = re.compile("Network is unreachable|refused|Address family not supported")


def test_a_socket(reason):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        program = f"""
import socket
def solve():
    socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), timeout=1).sendall(b"hello")
    return "done"
"""
        assert NO_NETWORK.search(reason(program))
        with pytest.raises(TimeoutError):
            server.accept()


def test_the_network_beyond_this_machine(reason):
    program = (
        "import socket\ndef solve():\n    socket.create_connection(('192.0.2.1', 80), timeout=1)\n    return 'done'"
    )
    assert NO_NETWORK.search(reason(program))


def test_reading_the_environment(monkeypatch):
    monkeypatch.setenv("GEMINI_TEST_SECRET", "done")
    program = "import os\ndef solve(): return os.environ.get('GEMINI_TEST_SECRET')"
    with Sandbox(SMALL) as sandbox:
        outcome = sandbox.run(program, "assert solve() == 'done'", names=["solve"])
        assert outcome.reason == "AssertionError: assert solve() == 'done'"
        names = "import os\ndef solve(): return sorted(os.environ)"
        test = "assert solve() == ['HOME', 'LANG', 'PATH', 'TMPDIR'], solve()"
        assert sandbox.run(names, test, names=["solve"]).passed


def test_killing_its_parent_and_everybody(reason):
    program = """
import os, signal
def solve():
    for pid in (os.getppid(), 1, -1):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    os.killpg(0, signal.SIGKILL)
    return "done"
"""
    assert "the program was ended by signal 9" in reason(program)


def test_it_finds_no_process_but_its_own(sandbox):
    """The one that waits, and itself."""
    program = """
import os
def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
def solve(): return [pid for pid in range(1, 50_000) if exists(pid)]
"""
    assert sandbox.run(program, "assert solve() == [1, 2]", names=["solve"]).passed


def test_stopping_itself_and_its_group(reason_soon):
    assert "not done" in reason_soon("import os, signal\ndef solve(): os.kill(0, signal.SIGSTOP)")


def test_reading_the_memory_of_its_parent(reason):
    program = """
import ctypes, os
def solve():
    libc = ctypes.CDLL(None, use_errno=True)
    attached = libc.ptrace(16, 1, 0, 0) == 0 or libc.ptrace(16, os.getppid(), 0, 0) == 0
    return "done" if attached and os.path.exists("/proc/1/mem") else os.listdir("/proc")
"""
    assert "FileNotFoundError" in reason(program)


def test_looking_for_the_tests_in_its_own_memory(reason):
    program = """
import gc, sys
def solve():
    for thing in gc.get_objects():
        if isinstance(thing, dict):
            for key, value in list(thing.items()):
                if isinstance(value, (str, bytes)) and "the" + "answer" in str(value) and "solve() ==" in str(value):
                    return "theanswer42"
    return None
"""
    assert reason(program, "assert solve() == 'theanswer42'").startswith("AssertionError")


def test_a_daemon_that_outlives_it(reason):
    seconds = f"31.{time.time_ns() % 10**6}"
    program = f"""
import os, time
def solve():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 30)
            os.execv("/bin/sleep", ["sleep", "{seconds}"])
        os._exit(0)
    time.sleep(0.3)
"""
    reason(program)
    running = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert not any(line and seconds in line for line in running)


def test_becoming_somebody_else(reason):
    program = """
import ctypes, os
def solve():
    libc = ctypes.CDLL(None, use_errno=True)
    new_users, new_mounts = 0x10000000, 0x20000
    tries = [libc.unshare(new_users), libc.unshare(new_mounts), libc.mount(b"x", b"/box", b"tmpfs", 0, None),
             libc.setuid(0), libc.chroot(b"/box"), libc.sethostname(b"x", 1)]
    return "done" if 0 in tries else tries
"""
    assert reason(program).startswith("AssertionError")


# --- Forging the verdict ---


@pytest.mark.parametrize("way", ["import sys; sys.exit(0)", "raise SystemExit", "import os; os._exit(0)", "quit()"])
def test_ending_in_time_is_no_way_to_pass(reason, way):
    assert reason(f"def solve():\n    {way}")
    assert reason(way)


def test_changing_what_assert_and_equality_mean(reason):
    program = """
import builtins, unittest
class Anything(str):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = str.__hash__
class Any2:
    def __eq__(self, other): return True
builtins.AssertionError = Warning
builtins.str.__class__
unittest.TestCase.assertEqual = lambda *_: None
def solve(): return KIND
"""
    for kind in ("Anything('x')", "Any2()", "[Any2()]", "Any2"):
        assert reason(program.replace("KIND", kind)).startswith("AssertionError")


def test_raising_in_equality(reason):
    program = "class Bad:\n    def __eq__(self, other): raise SystemExit(0)\ndef solve(): return Bad()"
    assert reason(program).startswith("AssertionError")


def test_a_bare_assertion_asks_for_no_more_than_truth(sandbox):
    """An object is true in Python, and so it is here: a data set that asserts no more gets no more."""
    program = "class Thing: pass\ndef solve(): return Thing()"
    assert sandbox.run(program, "assert solve()", names=["solve"]).passed


def test_changing_the_functions_of_the_checker(reason):
    program = """
import gc, json, sys, types
for module in list(sys.modules.values()):
    for name in ("judge", "run_tests", "from_json", "to_json", "_verdict", "_line", "judged"):
        if hasattr(module, name):
            setattr(module, name, lambda *_: ("passed", ""))
json.dumps = lambda *_: '["passed", ""]'
def solve(): return 'wrong'
"""
    assert "cannot be read" in reason(program)


def test_writing_a_verdict_to_whatever_is_open(reason):
    program = """
import os
def solve():
    for number in range(64):
        for text in (b'["passed", ""]\\n', b'{"value": "done "}\\n'):
            try:
                os.write(number, text)
            except OSError:
                pass
    os._exit(0)
"""
    assert reason(program)


def test_closing_all_that_is_open(reason):
    assert "the program ended" in reason("import os\ndef solve():\n    os.closerange(0, 64)\n    return 'done'")


def test_an_answer_of_lies_about_its_kind(reason):
    program = """
import os
def solve():
    for number in range(3, 32):
        try:
            os.write(number, b'{"value": {"kept": 1, "tuple": 2}}\\n')
        except OSError:
            pass
    os._exit(0)
"""
    assert "cannot be read" in reason(program)
