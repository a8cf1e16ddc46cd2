"""Whatever is typed into a chat, the conversation is still there afterwards."""

import json

import pytest

from gemini_workshop.cli.terminal import Terminal
from gemini_workshop.config import GenerationConfig
from gemini_workshop.generation.chat import Conversation


class Partner:
    """Replies with one word, or fails."""

    has_ended = False
    error: Exception | None = None

    def reply(self, conversation, config):
        if self.error:
            raise self.error
        conversation.turns.append(type(conversation.turns[-1])("model", "yes"))
        yield "yes"


@pytest.fixture
def chat(monkeypatch, tmp_path):
    """Type lines into a chat; its conversation afterwards."""
    monkeypatch.chdir(tmp_path)
    terminal = Terminal(Partner(), Conversation("story", ""), GenerationConfig(seed=7))

    def type_lines(*lines: str) -> Terminal:
        rest = iter(lines)

        def read(_=""):
            if (line := next(rest, None)) is None:
                raise EOFError
            return line

        monkeypatch.setattr("builtins.input", read)
        terminal.run()
        return terminal

    return type_lines


@pytest.mark.parametrize("line", [
    '/set temperature "0.5', "/set top_p [", "/set top_p {a: 1}", "/set seed 1:30", f"/set seed {2**64}",
    "/set seed " + "9" * 5000, "/set", "/set x 1", "/save", "/save .", "/save /dev/full", "/save " + "a" * 500,
    "/load", "/load missing", "/load .", "/image a.png", "/nothing", "/",
])  # fmt: skip
def test_a_wrong_command_loses_nothing(chat, line, capsys):
    terminal = chat("Once", line)
    assert [turn.text for turn in terminal.conversation.turns] == ["Once", "yes"]
    assert len(capsys.readouterr().out) < 1500


@pytest.mark.parametrize("error", [OSError(5, "disk"), ValueError("x"), RuntimeError("size"), MemoryError()])
def test_a_reply_that_fails_takes_its_turn_back_and_keeps_the_others(chat, error, capsys):
    terminal = chat("Once")
    terminal.partner.error = error
    terminal = chat("Then")
    assert [turn.text for turn in terminal.conversation.turns] == ["Once", "yes"]
    assert "The conversation is kept; /save NAME saves it." in capsys.readouterr().out


def test_the_largest_seed_is_followed_by_one(chat):
    terminal = chat(f"/set seed {2**63 - 1}", "Once", "Then")
    assert len(terminal.conversation.turns) == 4
    assert terminal.config.seed == 1


def test_bytes_that_are_no_text_are_saved_whole(chat, tmp_path):
    chat("Once \udcff \ud83d", "/save a.json")
    assert json.loads((tmp_path / "a.json").read_text("utf-8"))["turns"][0]["text"] == "Once \ufffd \ufffd"
    assert len(Conversation.load(tmp_path / "a.json").turns) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_saved_conversation_of_any_encoding_is_loaded(chat, tmp_path, encoding):
    chat("Grüße", "/save a.json")
    (tmp_path / "b.json").write_bytes((tmp_path / "a.json").read_text("utf-8").encode(encoding))
    assert Conversation.load(tmp_path / "b.json").turns[0].text == "Grüße"


def test_quit_ends_the_chat_at_once(chat, capsys):
    terminal = chat("Once", "/quit", "Then")
    assert [turn.text for turn in terminal.conversation.turns] == ["Once", "yes"]
    assert "failed" not in capsys.readouterr().out
