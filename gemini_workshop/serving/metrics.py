"""Counters that Prometheus reads: who asked, how long it took, and how many tokens were read and written."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from gemini_workshop.serving.engine import Engine

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """The counters of one server; nothing is sent anywhere, they are read at ``/metrics``."""

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"workshop_{name}", about, labels, registry=self.registry)

        def seconds(name: str, about: str, *labels: str) -> Histogram:
            return Histogram(f"workshop_{name}_seconds", about, labels, buckets=SECONDS, registry=self.registry)

        self.requests = counter("requests", "Answered requests.", "route", "status")
        self.seconds = seconds("request", "Time to answer.", "route")
        self.first_token = seconds("first_token", "Time to the first text.")
        self.prompt_tokens = counter("prompt_tokens", "Tokens of prompts.")
        self.written_tokens = counter("written_tokens", "Tokens that were written.")
        self.unfinished = counter("unfinished", "Answers that nobody waited for to the end.")
        texts = Gauge("workshop_texts", "Texts that are written or wait.", ("state",), registry=self.registry)
        texts.labels("running").set_function(lambda: engine.num_running)
        texts.labels("waiting").set_function(lambda: len(engine.waiting))
        ProcessCollector(registry=self.registry)  # memory, CPU seconds and open files of the server

    def page(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
