"""What a visitor of the demo may ask for."""

from dataclasses import dataclass

from gemini_workshop.config.section import Section, option


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoSettings(Section):
    """Limits. The command line has an option for each of these fields."""

    max_characters: int = option("Longest text that is taken, in characters.", default=4000)
    max_tokens: int = option("Longest text that the explorers show, in tokens.", default=40)
    max_new_tokens: int = option("Longest reply, in tokens.", default=400)
    rate: int = option("Requests per minute of each visitor.", default=120)
    max_running: int = option("Number of requests that are computed side by side.", default=4)
    max_waiting: int = option("Number of requests that may wait.", default=32)
    upload_mib: int = option("Largest attached file, in MiB.", default=8)

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive(
            *("max_characters", "max_tokens", "max_new_tokens", "rate", "max_running", "max_waiting", "upload_mib")
        )
