"""The tab for sampling: a text grows token by token, and each token is chosen by the sampler or by hand."""

from typing import Any

import gradio as gr

from gemini_workshop.config import GenerationConfig
from gemini_workshop.demos.page import markup
from gemini_workshop.demos.page.desk import PRIVATE, Desk, drawing
from gemini_workshop.errors import WorkshopError

PROMPT = "Once upon a time there was a little"
HINT = (
    "Each column is the distribution after one more step, with how many tokens are left. Press a token to continue "
    "with it; press a token of the text to go back to before it. Yellow is what the sampler takes."
)
MANY = 10


class SamplingTab:
    """Builds the tab, and answers its events."""

    def __init__(self, desk: Desk, model: gr.Dropdown) -> None:
        self.desk = desk
        with gr.Tab("Sampling") as tab:
            gr.HTML(markup.note(HINT))
            prompt = gr.Textbox(PROMPT, label="Beginning", max_length=desk.settings.max_characters)
            written = gr.State([])
            with gr.Row():
                step = gr.Button("Sample one token", variant="primary", min_width=140)
                many = gr.Button(f"Sample {MANY}", min_width=90)
                back = gr.Button("Take one back", min_width=120)
                new = gr.Button("From the start", min_width=120)
            figure = drawing()
            with gr.Accordion("The sampler", open=True), gr.Row():
                sliders: list[Any] = [
                    gr.Slider(0, 2, 0.8, step=0.05, label="Temperature (0 is greedy)", min_width=200),
                    gr.Slider(0, 100, 40, step=1, label="Top-k (0 is off)", min_width=200),
                    gr.Slider(0.05, 1, 0.95, step=0.05, label="Top-p (1 is off)", min_width=200),
                    gr.Slider(0, 1, 0, step=0.01, label="Min-p (0 is off)", min_width=200),
                    gr.Slider(1, 2, 1, step=0.05, label="Repetition penalty (1 is off)", min_width=200),
                    gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31, min_width=200),
                ]
        given, shown = [model, prompt, written, *sliders], [written, figure]
        how: dict[str, Any] = {"inputs": given, "outputs": shown, "show_progress": "hidden", **PRIVATE}
        for event in (tab.select, model.change, *(slider.change for slider in sliders)):
            event(self.draw, trigger_mode="always_last", **how)
        for event in (prompt.submit, new.click):
            event(self.begin, **how)
        step.click(self.sample, **how)
        many.click(self.sample_many, **how)
        back.click(self.take_back, **how)
        figure.select(self.pick, **how)

    def draw(self, model: str, prompt: str, written: list[int], request: gr.Request, *sliders: Any) -> tuple[Any, str]:
        """Show the text and what can come next."""
        with self.desk.asked(request, prompt):
            return self._drawn(model, prompt, written, config_of(sliders))

    def begin(self, model: str, prompt: str, written: list[int], request: gr.Request, *sliders: Any) -> tuple[Any, str]:
        """Only the beginning."""
        del written
        return self.draw(model, prompt, [], request, *sliders)

    def sample(
        self, model: str, prompt: str, written: list[int], request: gr.Request, *sliders: Any
    ) -> tuple[Any, str]:
        """One more token, by the sampler."""
        return self._more(1, model, prompt, written, sliders, request)

    def sample_many(
        self, model: str, prompt: str, written: list[int], request: gr.Request, *sliders: Any
    ) -> tuple[Any, str]:
        """Several more tokens."""
        return self._more(MANY, model, prompt, written, sliders, request)

    def take_back(
        self, model: str, prompt: str, written: list[int], request: gr.Request, *sliders: Any
    ) -> tuple[Any, str]:
        """One token less."""
        return self.draw(model, prompt, written[:-1], request, *sliders)

    def pick(
        self, model: str, prompt: str, written: list[int], event: gr.EventData, request: gr.Request, *sliders: Any
    ) -> tuple[Any, str]:
        """Continue with a token, or go back to before one."""
        what, _, number = str(event.pick).partition(":")
        written = written[: int(number)] if what == "back" else [*written, int(number)]
        return self.draw(model, prompt, written, request, *sliders)

    def _more(
        self, number: int, model: str, prompt: str, written: list[int], sliders: tuple[Any, ...], request: gr.Request
    ) -> tuple[Any, str]:
        from gemini_workshop.demos.sampling import next_choice

        with self.desk.asked(request, prompt):
            loaded, config = self.desk.shelf.get(model), config_of(sliders)
            for _ in range(number):
                picked = next_choice(loaded, self._prompt_ids(model, prompt), written, config).picked
                written = [*written, picked]
                if picked == loaded.served.tokenizer.end_of_text_id:
                    break
            return self._drawn(model, prompt, written, config)

    def _prompt_ids(self, model: str, prompt: str) -> list[int]:
        from gemini_workshop.data.tokenizers import prompt_ids

        return prompt_ids(self.desk.shelf.get(model).served.tokenizer, prompt)

    def _drawn(self, model: str, prompt: str, written: list[int], config: GenerationConfig) -> tuple[list[int], str]:
        from gemini_workshop.demos.sampling import next_choice
        from gemini_workshop.demos.vocabularies import token_texts

        loaded = self.desk.shelf.get(model)
        written = [token for token in written if 0 <= token < loaded.served.model.config.vocab_size]
        ids = self._prompt_ids(model, prompt)
        text = markup.written_tokens(token_texts(loaded.served, ids), token_texts(loaded.served, written))
        try:
            choice = next_choice(loaded, ids, written, config)
        except WorkshopError as error:
            return written, text + markup.note(str(error), "error")
        stages = [(stage.name, stage.num_left, stage.probabilities) for stage in choice.stages]
        table = markup.choice_table(choice.token_ids, choice.texts, stages, choice.picked)
        return written, f'<div class="figure">{text}{table}</div>'


def config_of(sliders: tuple[Any, ...]) -> GenerationConfig:
    """The settings of the sampler, where a slider at its end is off."""
    temperature, top_k, top_p, min_p, repetition, seed = sliders
    return GenerationConfig(
        temperature=float(temperature),
        top_k=int(top_k) or None,
        top_p=None if top_p == 1 else float(top_p),
        min_p=float(min_p) or None,
        repetition_penalty=float(repetition),
        seed=int(seed or 0),
    )
