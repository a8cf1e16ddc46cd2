"""What a server may spend, and whom it answers."""

from dataclasses import dataclass

from gemini_workshop.config.section import Section, option

MIB = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerSettings(Section):
    """Limits and keys. The command line has an option for each of these fields but the keys."""

    max_rows: int = option("Number of texts that are generated side by side.", default=64)
    max_waiting: int = option("Number of texts that may wait for a place.", default=256)
    max_texts: int = option("Maximum number of texts of one request: prompts times n.", default=64)
    rate: int | None = option("Requests per minute for each key, or each address where no key is set.", default=None)
    timeout: float = option("Seconds that one request may take, waiting included.", default=300.0)
    body_mib: int = option("Largest body of a request, in MiB.", default=8)
    body_timeout: float = option("Seconds in which the body of a request has to arrive.", default=10.0)
    grace: int = option("Seconds that running requests get to finish when the server is stopped.", default=10)
    keys: tuple[str, ...] = option(
        "One of these has to come with every request, if there are any.", default=(), repr=False
    )

    def __post_init__(self) -> None:
        self._check_types()
        for name in ("max_rows", "max_waiting", "max_texts", "timeout", "body_mib", "body_timeout", "grace"):
            self._need_positive(name)
        if self.rate is not None:
            self._need_positive("rate")
        self._need(
            self.max_texts <= self.max_waiting,
            f"max_texts={self.max_texts} is more than max_waiting={self.max_waiting}, so no such request could wait.",
            f"Choose max_texts <= {self.max_waiting}.",
        )
        self._need(all(self.keys), "A key is empty.", "Choose a long random text: openssl rand -hex 24 prints one.")
