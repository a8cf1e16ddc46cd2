"""Counters that Prometheus reads: who asked, how long it took, and how many tokens were read and written."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from gemini_workshop.serving.engine import Engine

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """The counters of one server; nothing is sent anywhere, they are read at ``/metrics``."""

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()
        here = {"registry": self.registry}
        self.requests = Counter("workshop_requests", "Answered requests.", ("route", "status"), **here)
        self.seconds = Histogram("workshop_request_seconds", "Time to answer.", ("route",), buckets=SECONDS, **here)
        self.first_token = Histogram("workshop_first_token_seconds", "Time to the first text.", buckets=SECONDS, **here)
        self.prompt_tokens = Counter("workshop_prompt_tokens", "Tokens of prompts.", **here)
        self.written_tokens = Counter("workshop_written_tokens", "Tokens that were written.", **here)
        self.unfinished = Counter("workshop_unfinished", "Answers that nobody waited for to the end.", **here)
        texts = Gauge("workshop_texts", "Texts that are written or wait.", ("state",), **here)
        texts.labels("running").set_function(lambda: engine.num_running)
        texts.labels("waiting").set_function(lambda: len(engine.waiting))
        ProcessCollector(registry=self.registry)  # memory, CPU seconds and open files of the server

    def page(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
