"""The tab for attention: all heads, one of them large, and the loss without some."""

from typing import Any

import gradio as gr

from gemini_workshop.demos.page import markup
from gemini_workshop.demos.page.desk import PRIVATE, SENTENCE, Desk, drawing

Head = tuple[int, int]  # Gradio reads the types of what it calls, so they are all at hand
HINT = (
    "Each picture is a head: rows ask, columns answer, dark is a large weight. The number is what the loss rises by if "
    "that head alone gives every token the same weight. Press one to see it large."
)
READ = "Point at a square to read its weight, or press Tab and move with the arrow keys."


class AttentionTab:
    """Builds the tab, and answers its events."""

    def __init__(self, desk: Desk, model: gr.Dropdown) -> None:
        self.desk, self.model = desk, model
        with gr.Tab("Attention") as tab:
            gr.HTML(markup.note(HINT))
            self.text = gr.Textbox(SENTENCE, label="Your sentence", max_length=desk.settings.max_characters)
            self.look = gr.Button("Look", variant="primary")
            self.chosen, self.off, self.seen = gr.State((0, 0)), gr.State([]), gr.State(None)
            self.facts = gr.HTML()
            with gr.Row():
                with gr.Column(min_width=340):
                    self.heads = drawing()
                with gr.Column(min_width=340):
                    self.map = drawing()
            with gr.Row():
                self.switch = gr.Button("Chosen head off / on", min_width=150)
                self.all_on = gr.Button("All on", min_width=90)
            self.surprise = gr.HTML()
        given = [model, self.text, self.chosen, self.off]
        shown = [self.seen, self.chosen, self.off, self.facts, self.heads, self.map, self.surprise]
        for event in (self.look.click, self.text.submit, tab.select):
            event(self.read, given, shown, **PRIVATE)
        self.switch.click(self.toggle, given, shown, **PRIVATE)
        self.all_on.click(self.restore, given, shown, **PRIVATE)
        self.heads.select(self.choose, [self.seen, self.off], shown[1:], show_progress="hidden", queue=False, **PRIVATE)

    def read(self, model: str, text: str, chosen: Head, off: list[Head], request: gr.Request) -> tuple[Any, ...]:
        """Read the sentence with some heads off, and draw everything."""
        from gemini_workshop.demos.attention import heads_at_work

        with self.desk.asked(request, text):
            loaded = self.desk.shelf.get(model)
            config = loaded.served.model.config
            there = [head for head in off if head[0] < config.num_layers and head[1] < config.num_heads]
            seen = heads_at_work(loaded, text, self.desk.limits, there)
        L, H = seen.costs.shape
        chosen = chosen if chosen[0] < L and chosen[1] < H else (0, 0)
        return seen, *drawn(seen, chosen, there)

    def toggle(self, model: str, text: str, chosen: Head, off: list[Head], request: gr.Request) -> tuple[Any, ...]:
        """Switch the chosen head off, or on again."""
        chosen = (chosen[0], chosen[1])
        others = [head for head in off if tuple(head) != chosen]
        return self.read(model, text, chosen, others if len(others) < len(off) else [*off, chosen], request)

    def restore(self, model: str, text: str, chosen: Head, off: list[Head], request: gr.Request) -> tuple[Any, ...]:
        """Switch all heads on."""
        del off
        return self.read(model, text, chosen, [], request)

    def choose(self, seen: Any, off: list[Head], event: gr.EventData) -> tuple[Any, ...]:
        """Show a head large."""
        if seen is None:
            return (gr.skip(),) * 6
        layer, head = (int(number) for number in str(event.pick).split(","))
        return drawn(seen, (layer, head), off)


def drawn(seen: Any, chosen: Head, off: list[Head]) -> tuple[Any, ...]:
    """Everything that the tab shows: the choice, the heads that are off, facts, heads, the large map, and surprises."""
    layer, head = chosen
    names = ", ".join(f"layer {a}, head {b}" for a, b in off) or "none"
    facts = [("loss", f"{seen.loss_nats:.3f} nats per token"), ("heads off", names)]
    bars = ""
    if off:
        facts.append(("loss without them", f"{seen.loss_off:.3f} ({seen.loss_off - seen.loss_nats:+.3f})"))
        bars = markup.surprise_bars(seen.tokens[1:], seen.surprise.tolist(), seen.surprise_without.tolist())
        bars = f"<h2>Surprise per token, in nats</h2><div class='figure'>{bars}</div>"
    buttons = markup.head_buttons(seen.maps.numpy(), seen.costs.numpy(), chosen, off)
    large = markup.heat_map(seen.maps[layer, head].tolist(), seen.tokens, seen.tokens, "looks at")
    title = f"<h2>Layer {layer}, head {head}</h2>"
    return (
        *(chosen, list(off), markup.facts(facts)),
        *(markup.figure("All heads", buttons, "Point at a head."), title + markup.figure("One head", large, READ)),
        bars,
    )
