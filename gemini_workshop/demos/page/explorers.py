"""The tabs that show one thing for one text: the logit lens, the experts, the tokenizers; and what the machine does."""

from collections.abc import Callable

import gradio as gr

from gemini_workshop.demos.page import markup
from gemini_workshop.demos.page.desk import PRIVATE, SENTENCE, Desk, drawing

READ = "Point at a cell to read it, or press Tab and move with the arrow keys."
LENS_HINT = (
    "What each block would predict after each token, if the head read its output: dark is sure, underlined is what "
    "does come next."
)
EXPERTS_HINT = "The weight of each expert for each token, layer by layer; a token is sent only to the dark ones."
TOKENS_HINT = "One text by the tokenizers of the models, and by the published vocabularies that are on this machine."
TOKENS_TEXT = "The little dog said: “Naïve café!” 12345 + 67 = 🙂"
SAVE = """(text) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/jsonl' }));
  link.download = 'resources.jsonl';
  link.click();
  URL.revokeObjectURL(link.href);
}"""


def _text_tab(title: str, hint: str, value: str, desk: Desk, draw: Callable[..., str], *given: gr.Dropdown) -> None:
    """A tab with a text, a button, and what ``draw`` makes of the text."""
    with gr.Tab(title) as tab:
        gr.HTML(markup.note(hint))
        text = gr.Textbox(value, label="Your text", max_length=desk.settings.max_characters)
        look = gr.Button("Look", variant="primary")
        figure = drawing()
    for event in (look.click, text.submit, tab.select):
        event(draw, [*given, text], figure, **PRIVATE)


class LensTab:
    """The logit lens."""

    def __init__(self, desk: Desk, model: gr.Dropdown) -> None:
        self.desk = desk
        _text_tab("Logit lens", LENS_HINT, SENTENCE, desk, self.draw, model)

    def draw(self, model: str, text: str, request: gr.Request) -> str:
        """A table of predictions."""
        from gemini_workshop.demos.lens import read_off

        with self.desk.asked(request, text):
            lens = read_off(self.desk.shelf.get(model), text, self.desk.limits)
        table = markup.lens_table(lens.tokens, lens.predicted, lens.probabilities, lens.of_the_next)
        return markup.figure("Logit lens", table, READ)


class ExpertsTab:
    """Which experts the tokens are sent to."""

    def __init__(self, desk: Desk, model: gr.Dropdown) -> None:
        self.desk = desk
        _text_tab("Experts", EXPERTS_HINT, SENTENCE, desk, self.draw, model)

    def draw(self, model: str, text: str, request: gr.Request) -> str:
        """A map for each layer; a sentence in its place, where the model has no experts."""
        from gemini_workshop.demos.experts import expert_traffic, without_experts

        with self.desk.asked(request, text):
            loaded = self.desk.shelf.get(model)
            if loaded.served.model.config.moe is None:
                return markup.note(without_experts(model))
            traffic = expert_traffic(loaded, text, self.desk.limits)
        experts = [f"expert\N{NO-BREAK SPACE}{i}" for i in range(traffic.loads.shape[1])]
        parts = []
        for layer, weights, loads in zip(traffic.layers, traffic.weights, traffic.loads, strict=True):
            shares = [(name, f"{load:.0%}") for name, load in zip(experts, loads.tolist(), strict=True)]
            table = markup.heat_map(weights.T.tolist(), experts, traffic.tokens, "gets")
            parts.append(f"<h2>Layer {layer}</h2>{markup.facts(shares)}{markup.figure(f'Layer {layer}', table, READ)}")
        return "".join(parts)


class TokensTab:
    """One text by several tokenizers."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        _text_tab("Tokenizers", TOKENS_HINT, TOKENS_TEXT, desk, self.draw)

    def draw(self, text: str, request: gr.Request) -> str:
        """A row of boxes for each tokenizer."""
        from gemini_workshop.demos.vocabularies import cuts, token_text

        with self.desk.asked(request, text):
            rows = [
                markup.token_row(
                    cut.name,
                    [(token_text(token), i) for token, i in cut.tokens],
                    f"{len(cut.tokens)} tokens, {cut.bytes_per_token:.2f} bytes each, {cut.vocab_size:,} in all",
                )
                for cut in cuts(text, self.desk.shelf)
            ]
        return markup.figure("Tokenizers", "".join(rows), "Point at a token to read its number.")


class MachineTab:
    """What the demo takes of the machine."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        with gr.Tab("Machine") as tab:
            gr.HTML(markup.note("What this demo takes of the machine that it runs on, while this tab is open."))
            figure = gr.HTML()
            export = gr.Button("Export as JSON lines")
            lines = gr.Textbox(visible="hidden", label="Export")
            timer = gr.Timer(2)
        for event in (tab.select, timer.tick):
            event(self.draw, None, figure, show_progress="hidden", queue=False, **PRIVATE)
        exported = export.click(desk.machine.as_json_lines, None, lines, queue=False, **PRIVATE)
        exported.success(None, lines, None, js=SAVE, **PRIVATE)

    def draw(self) -> str:
        """The newest reading, and curves of all that are kept."""
        readings = self.desk.machine.look()
        last = readings[-1]
        pairs = [
            ("memory of the demo", f"{last.memory_bytes / 2**20:,.0f} MiB"),
            ("free memory", f"{last.memory_free_bytes / 2**20:,.0f} MiB"),
            ("processor, of one core", f"{last.cpu_percent:.0f} %"),
            ("processor, all programs", f"{last.machine_cpu_percent:.0f} %"),
        ]
        if last.gpu_memory_bytes is not None:
            pairs.append(("GPU memory", f"{last.gpu_memory_bytes / 2**20:,.0f} MiB"))
        if last.gpu_percent is not None:
            pairs.append(("GPU", f"{last.gpu_percent:.0f} %"))
        pairs.append(("tokens/s", "–" if last.tokens_per_second is None else f"{last.tokens_per_second:,.0f}"))
        cpu = markup.sparkline("processor, of one core", [reading.cpu_percent for reading in readings], 100)
        memory = markup.sparkline("memory of the demo", [reading.memory_bytes for reading in readings])
        return f"{markup.facts(pairs)}<h2>Processor</h2>{cpu}<h2>Memory</h2>{memory}"
