"""In a real kernel: what an answer does to its process, and what Stop does, leave the notebook as it was."""

import os
import time
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import start_new_kernel

from gemini_workshop.authoring.kernel import kernel_environment

SECONDS = 120

SETUP = """
import os, signal, time
import torch
from gemini_workshop.exercises import check
kept = "as it was"
"""
ANSWER = """
def softmax(scores, dim=-1):
    {line}
    return scores
softmax = check("02.1", softmax)
"""
AFTER = "print(kept, softmax.__module__, os.getpid())"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    manager, client = start_new_kernel(env=os.environ | kernel_environment(folder), cwd=str(folder))
    kernel = Kernel(manager, client, folder)
    kernel.run(SETUP)
    yield kernel
    client.stop_channels()
    manager.shutdown_kernel(now=True)


class Kernel:
    """What is typed into its cells, and what they print."""

    def __init__(self, manager, client, folder: Path) -> None:
        self.manager, self.client, self.folder = manager, client, folder

    def run(self, code: str, stop_when=None) -> tuple[str, str]:
        """What a cell shows, and the error with which it ended. Stop is pressed when ``stop_when`` returns."""
        printed = []

        def hook(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                printed.append(content["text"])
            elif message["msg_type"] in ("display_data", "execute_result"):
                printed.append(content["data"]["text/plain"])

        if stop_when is None:
            reply = self.client.execute_interactive(code, output_hook=hook, timeout=SECONDS)
        else:
            number = self.client.execute(code)
            stop_when()
            self.manager.interrupt_kernel()
            reply = self.client.get_shell_msg(timeout=SECONDS)
            while reply["parent_header"].get("msg_id") != number:
                reply = self.client.get_shell_msg(timeout=SECONDS)
        return "".join(printed), reply["content"].get("ename", "")

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.manager.provisioner.pid)


@pytest.mark.parametrize(
    "line",
    [
        "os._exit(0)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getppid(), 0); import ctypes; ctypes.string_at(0)",
        "torch.softmax = None; time.sleep = None; globals()['kept'] = 'changed'",
        "os.chdir('/'); os.environ.clear()",
        "import sys; sys.stdout.close(); os.close(1); os.close(2)",
    ],
)
def test_whatever_an_answer_does_the_notebook_goes_on(kernel, line):
    shown, error = kernel.run(ANSWER.format(line=line))
    assert error == ""
    assert "02.1 softmax" in shown
    assert "passed" not in shown
    after, error = kernel.run(AFTER)
    assert error == ""
    assert after.split() == ["as", "it", "was", "gemini_workshop.models.attention", str(kernel.process.pid)]
    assert kernel.run("print(torch.softmax(torch.zeros(2), 0), time.sleep(0), os.getcwd())") == (
        f"tensor([0.5000, 0.5000]) None {kernel.folder}\n",
        "",
    )
    assert kernel.process.children() == []


def test_stop_ends_an_endless_answer_and_nothing_else(kernel):
    begun = kernel.folder / "begun"

    def until_it_runs():
        while not begun.exists():
            time.sleep(0.02)

    endless = ANSWER.format(line=f"open({str(begun)!r}, 'w').close()\n    while True: pass")
    _, error = kernel.run(endless, stop_when=until_it_runs)
    assert error == "KeyboardInterrupt"
    assert kernel.process.children() == []
    after, error = kernel.run("print(kept)")
    assert (after, error) == ("as it was\n", "")
    shown, _ = kernel.run('softmax = check("02.1", lambda scores, dim=-1: torch.softmax(scores, dim))')
    assert "passed" in shown
