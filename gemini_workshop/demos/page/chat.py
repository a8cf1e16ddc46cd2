"""The tab for chats: with one model, or with two side by side."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import gradio as gr

from gemini_workshop.config import GenerationConfig
from gemini_workshop.demos.page import markup
from gemini_workshop.demos.page.desk import PRIVATE, Desk, refusals

NOBODY = "nobody"
SECONDS_BETWEEN = 0.05  # pieces that come faster are shown together
FILE_TYPES = [".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".wav"]
SAVE = """(texts) => {
  for (const [name, text] of JSON.parse(texts)) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  }
}"""
Messages = list[dict[str, Any]]


class ChatTab:
    """Builds the tab, and answers its events."""

    def __init__(self, desk: Desk, model: gr.Dropdown) -> None:
        self.desk, self.model = desk, model
        with gr.Tab("Chat"):
            self.note = gr.HTML()
            with gr.Row():
                self.first = self._chatbot("Chat")
                self.second = self._chatbot("Chat with the second model", visible=False)
            self.facts = gr.HTML(markup.facts([("No reply yet", "")]))
            self.box = gr.MultimodalTextbox(
                label="Your turn",
                placeholder="Write here; Enter sends",
                file_types=FILE_TYPES,
                file_count="multiple",
                sources=["upload"],
                max_plain_text_length=10**6,
            )
            with gr.Row():
                self.stop = gr.Button("Stop", min_width=90)
                self.again = gr.Button("Retry", min_width=90)
                self.clear = gr.Button("New chat", min_width=90)
                self.export = gr.Button("Export", min_width=90)
            with gr.Accordion("Second model and settings", open=False):
                self._settings()
            self.saved = gr.Textbox(visible="hidden", label="Export")
            self.number = gr.State(0)  # of replies, so that each has its own seed
        self._events()

    def _chatbot(self, label: str, **options: Any) -> gr.Chatbot:
        return gr.Chatbot(
            label=label,
            height=380,
            editable="user",
            render_markdown=False,
            sanitize_html=True,  # what looks like a tag of HTML is not shown; the model reads it all the same
            buttons=["copy"],
            feedback_options=None,
            allow_tags=False,
            **options,
        )

    def _settings(self) -> None:
        names, settings = self.desk.shelf.names, self.desk.settings
        self.other = gr.Dropdown([NOBODY, *names], value=NOBODY, label="Compare with")
        self.system = gr.Textbox(label="Text above all turns", lines=2, max_length=settings.max_characters)
        with gr.Row():
            self.temperature = gr.Slider(0, 2, 0.8, step=0.05, label="Temperature (0 is greedy)")
            self.top_p = gr.Slider(0.05, 1, 0.95, step=0.05, label="Top-p")
        with gr.Row():
            most = settings.max_new_tokens
            self.length = gr.Slider(1, most, min(120, most), step=1, label="Longest reply (tokens)")
            self.seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31)

    def _events(self) -> None:
        chats = [self.first, self.second]
        how = [self.system, self.temperature, self.top_p, self.length, self.seed, self.number]
        results = [*chats, self.facts, self.number]
        both = {"fn": self.answer, "inputs": [self.model, self.other, *chats, *how], "outputs": results, **PRIVATE}
        taken = self.box.submit(self.take, [self.box, self.other, *chats], [self.box, *chats], queue=False, **PRIVATE)
        running = [taken.success(**both, show_progress="hidden")]
        running.append(self.again.click(**both, show_progress="hidden"))
        for chat, name in ((self.first, self.model), (self.second, self.other)):
            only: dict[str, Any] = {
                "fn": self.answer_one,
                "inputs": [name, chat, *how],
                "outputs": [chat, self.facts, self.number],
            }
            running.append(chat.retry(**only, show_progress="hidden", **PRIVATE))
            edited = chat.edit(edit, chat, chat, queue=False, **PRIVATE)
            running.append(edited.success(**only, show_progress="hidden", **PRIVATE))
            chat.undo(undo, chat, [chat, self.box], queue=False, **PRIVATE)
        self.stop.click(None, None, None, cancels=running, **PRIVATE)
        self.clear.click(lambda: ([], []), None, chats, queue=False, cancels=running, **PRIVATE)
        self.other.change(self.compare, self.other, self.second, queue=False, **PRIVATE)
        saved = self.export.click(self.save, [self.model, self.other, *chats, self.system], self.saved, **PRIVATE)
        saved.success(None, self.saved, None, js=SAVE, **PRIVATE)

    def about(self, name: str) -> tuple[str, Any]:
        """What one does with a model, and the temperature that fits it."""
        from gemini_workshop.demos.chatting import FORMAT_NOTES

        with refusals():
            served = self.desk.shelf.get(name).served
        size = f"{served.model.num_parameters():,} parameters, reads {served.context_tokens:,} tokens."
        return markup.note(f"{FORMAT_NOTES[served.format]} {size}"), 0.0 if served.format == "question" else 0.8

    def compare(self, other: str) -> Any:
        """Show the second chat, if there is a second model."""
        return gr.update(visible=other != NOBODY, value=[], label=other)

    def take(
        self, box: dict[str, Any], other: str, first: Messages, second: Messages, request: gr.Request
    ) -> tuple[Any, Messages, Messages]:
        """Put what was written into the chats."""
        text, files = box.get("text") or "", box.get("files") or []
        with self.desk.asked(request, text):
            new: Messages = [{"role": "user", "content": {"path": path}} for path in files]
            new += [{"role": "user", "content": text}] if text.strip() else []
            return None, [*first, *new], [*second, *new] if other != NOBODY else second

    def answer(
        self, model: str, other: str, first: Messages, second: Messages, *how: Any
    ) -> Iterator[tuple[Messages, Messages, str, int]]:
        """The reply of one model, or of both, as they are written; one that is there is written again."""
        chats = {model: first} | ({other: second} if other not in (NOBODY, model) else {})
        for latest, facts, number in self._write(chats, how):
            yield latest[model], latest.get(other, second) if other != model else second, facts, number

    def answer_one(self, model: str, chat: Messages, *how: Any) -> Iterator[tuple[Messages, str, int]]:
        """The reply of one model."""
        for latest, facts, number in self._write({model: chat}, how):
            yield latest[model], facts, number

    def _write(self, chats: dict[str, Messages], how: Sequence[Any]) -> Iterator[tuple[dict[str, Messages], str, int]]:
        from gemini_workshop.demos.chatting import files_of, replies, side_by_side, turns_of

        *_, number = how
        config = self._config(how)
        asked = {name: without_reply(chat) for name, chat in chats.items()}
        with refusals():
            streams = {
                name: replies(self.desk.shelf.get(name), turns_of(chat), config, how[0] or "", files_of(chat))
                for name, chat in asked.items()
            }
            shown_at = 0.0
            for latest in side_by_side(streams):
                self.desk.machine.tokens_per_second = sum(each.tokens_per_second or 0.0 for each in latest.values())
                if time.monotonic() - shown_at > SECONDS_BETWEEN:
                    shown_at = time.monotonic()
                    yield self._shown(asked, latest), speeds(latest), number + 1
            yield self._shown(asked, latest), speeds(latest), number + 1

    def _shown(self, asked: dict[str, Messages], latest: dict[str, Any]) -> dict[str, Messages]:
        def reply(name: str) -> Messages:
            text = latest[name].text if name in latest else ""
            return [{"role": "assistant", "content": text or "…"}]

        return {name: [*chat, *reply(name)] for name, chat in asked.items()}

    def _config(self, how: Sequence[Any]) -> GenerationConfig:
        _, temperature, top_p, length, seed, number = how
        length = max(1, min(int(length), self.desk.settings.max_new_tokens))
        config = GenerationConfig(max_new_tokens=length, seed=int(seed or 0) + number)
        with refusals():
            return replace(config, temperature=float(temperature), top_p=float(top_p))

    def save(self, model: str, other: str, first: Messages, second: Messages, system: str) -> str:
        """Name and content of a file for each chat, which ``gemini-workshop chat --load`` reads."""
        from gemini_workshop.demos.chatting import turns_of

        files = []
        for name, chat in ((model, first), (other, second)):
            if chat and name != NOBODY:
                turns = [asdict(turn) for turn in turns_of(chat)]
                content = {"format": self.desk.shelf.get(name).served.format, "system": system or "", "turns": turns}
                files.append([f"{name}.json", json.dumps(content, ensure_ascii=False, indent=1)])
        return json.dumps(files)


def without_reply(chat: Messages) -> Messages:
    """A chat up to its last turn of the user."""
    while chat and chat[-1]["role"] != "user" and any(message["role"] == "user" for message in chat):
        chat = chat[:-1]
    return chat


def edit(chat: Messages, event: gr.EditData) -> Messages:
    """The chat up to a turn of the user, which now has another text."""
    index = event.index if isinstance(event.index, int) else event.index[0]
    return [*chat[:index], {"role": "user", "content": str(event.value)}]


def undo(chat: Messages) -> tuple[Messages, Any]:
    """The chat before the last turn of the user, which goes back into the box."""
    from gemini_workshop.demos.chatting import turns_of

    kept = without_reply(chat)
    start = len(kept)
    while start and kept[start - 1]["role"] == "user":
        start -= 1
    turns = turns_of(kept[start:])
    return kept[:start], {"text": turns[0].text if turns else "", "files": []}


def speeds(latest: dict[str, Any]) -> str:
    """Speed and cache of each reply."""
    lines = []
    for name, each in latest.items():
        rate = "…" if each.tokens_per_second is None else f"{each.tokens_per_second:,.0f}"
        pairs = [
            (name, ""),
            ("tokens", str(each.num_tokens)),
            ("tokens/s", rate),
            ("first after", f"{1000 * each.seconds_to_first:,.0f} ms"),
            ("cache", f"{each.cache_bytes:,} bytes"),
        ]
        lines.append(markup.facts([*pairs, ("the model ended the text", "")] if each.has_ended else pairs))
    return "".join(lines)
