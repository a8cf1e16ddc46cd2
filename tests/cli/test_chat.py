"""gemini-workshop chat: turns and commands, through a pipe and in a real terminal."""

import os
import select
import sys
import time

import pytest
from typer.testing import CliRunner

from gemini_workshop.cli.main import app
from gemini_workshop.cli.terminal import MEDIA, Terminal
from gemini_workshop.config import GenerationConfig
from gemini_workshop.generation.chat import Conversation, Turn


class Echo:
    """Says the number of the seed and the last turn; breaks off when asked to."""

    def __init__(self):
        self.has_ended = False

    def reply(self, conversation, config):
        said = conversation.turns[-1].text
        conversation.turns.append(Turn("model", f"{config.seed}:{said}"))
        yield "  "
        yield f"{config.seed}:"
        if said == "break":
            raise KeyboardInterrupt
        yield said


@pytest.fixture
def terminal(capsys):
    terminal = Terminal(Echo(), Conversation(), GenerationConfig())
    capsys.readouterr()
    return terminal


@pytest.fixture
def say(terminal, capsys, monkeypatch):
    """Type lines until the end of the input; what is shown."""

    def say(*lines):
        waiting = iter(lines)

        def read(_):
            try:
                return next(waiting)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", read)
        terminal.run()
        return capsys.readouterr().out

    return say


def test_a_reply_begins_without_its_space_and_every_reply_has_a_seed_of_its_own(say):
    assert say("a", "b") == "0:a\n1:b\n\n"


def test_retry_replies_to_the_same_turn(say, terminal):
    assert say("a", "/retry") == "0:a\n1:a\n\n"
    assert [turn.text for turn in terminal.conversation.turns] == ["a", "1:a"]


def test_an_interrupted_reply_ends_and_the_conversation_goes_on(say):
    assert say("break", "a") == "0: [interrupted]\n0:a\n\n"


def test_undo_and_new_forget(say, terminal):
    assert "Taken back: 'b'" in say("a", "b", "/undo")
    assert [turn.text for turn in terminal.conversation.turns] == ["a", "0:a"]
    say("/new")
    assert terminal.conversation.turns == []
    assert "nothing to take back" in say("/undo")


def test_settings_are_changed_and_checked_by_the_configuration(say, terminal):
    assert "temperature = 0.5" in say("/set temperature 0.5")
    assert terminal.config.temperature == 0.5
    assert "top_k = 7" in say("/set top_k=7")
    shown = say("/set tmperature 1", "/set top_p 3", "/set")
    assert "Did you mean 'temperature'?" in shown
    assert "top_p=3.0 is outside" in shown
    assert "  top_k = 7\n" in shown


def test_a_conversation_is_saved_and_loaded(say, terminal, tmp_path):
    file = tmp_path / "chat.json"
    assert f"Saved 2 turns to {file}." in say("/system Of foxes.", "Hello", f"/save {file}")
    terminal.conversation = Conversation()
    assert "Of foxes.\n\nHello0:Hello" in say(f"/load {file}")
    assert "cannot be read" in say("/load nowhere.json")
    assert "cannot be written" in say(f"/save {file}/in-a-file.json")
    assert say("/save", "/load").count("A file name is missing") == 2


def test_the_history_is_what_the_model_sees(say):
    assert "Nothing has been said yet." in say("/history")
    assert "a0:a\n\nb1:b" in say("a", "b", "/history")


def test_a_command_that_does_not_exist_is_answered_with_the_nearest(say, terminal):
    assert "Did you mean 'retry'?" in say("/retr")
    shown = say("/help")
    assert [name for name in terminal.commands if f"/{name}" not in shown] == list(MEDIA)
    assert "There is no turn to reply to" in say("/retry")


def test_an_empty_line_lets_a_story_go_on_but_is_no_turn_of_a_dialogue(say, terminal):
    assert say("") == "0:\n\n"
    terminal.conversation = Conversation("dialogue")
    assert say("", "  ") == "\n"


def test_the_end_of_the_text_is_told(say, terminal):
    terminal.partner.has_ended = True
    assert "The model ended the text here" in say("a")


def test_turns_can_come_through_a_pipe(tmp_path):
    file = tmp_path / "chat.json"
    options = ["chat", "--max-new-tokens", "8", "--system", "A story."]
    result = CliRunner().invoke(app, options, input=f"Once upon a time\n/save {file}\n/quit\nnever read\n")
    assert result.exit_code == 0, result.output
    saved = Conversation.load(file)
    assert [turn.role for turn in saved.turns] == ["user", "model"]
    assert saved.turns[1].text.strip() in result.output
    assert "never read" not in result.output
    again = CliRunner().invoke(app, ["chat", "--load", str(file)], input="")
    assert saved.text().strip() in again.output


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_in_a_terminal_ctrl_c_gives_a_hint_and_ctrl_d_ends():
    import pty

    code = "from gemini_workshop.cli.main import app; app(['chat', '--max-new-tokens', '5'])"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    shown = ""

    def wait_for(text):
        nonlocal shown
        end = time.monotonic() + 120
        while text not in shown:
            assert time.monotonic() < end, shown
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 4096).decode(errors="replace")
        before, _, shown = shown.partition(text)
        return before

    assert "write a story" in wait_for("\n> ")
    os.write(terminal, b"The fox\n")
    assert len(wait_for("\n> ").split()) > 2  # the echo of the turn, and a reply
    time.sleep(1)  # a signal between the prompt and the wait for keys would only be seen at the next key
    os.write(terminal, b"\x03")
    assert "/help lists the commands" in wait_for("\n> ")
    os.write(terminal, b"\x04")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)
