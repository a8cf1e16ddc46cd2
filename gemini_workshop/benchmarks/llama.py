"""llama.cpp in this process, by the package xllamacpp."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def is_installed() -> bool:
    """Whether there is a llama.cpp to call."""
    return find_spec("xllamacpp") is not None


class LlamaCpp:
    """A model from a GGUF file, on one thread."""

    def __init__(self, path: str | Path) -> None:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
        parameters.n_parallel, parameters.warmup, parameters.verbosity = 1, False, -1
        self._server = xllamacpp.Server(parameters)

    def complete(self, prompt: str, max_tokens: int) -> str:
        """The most likely continuation."""
        return str(self._answer(prompt, max_tokens)["choices"][0]["text"])

    def logprobs(self, prompt: str) -> tuple[dict[int, float], int]:
        """The log-probability of each token after the prompt, and of how many tokens the prompt is."""
        answer = self._answer(prompt, 1, n_probs=1_000_000)
        top = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return {each["id"]: each["logprob"] for each in top}, answer["usage"]["prompt_tokens"]

    def _answer(self, prompt: str, max_tokens: int, **more: Any) -> dict[str, Any]:
        request = {"prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "cache_prompt": False} | more
        answer = self._server.handle_completions(request)
        return json.loads(answer) if isinstance(answer, str) else answer
