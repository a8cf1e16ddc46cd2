"""What is too long, or comes too often: each with a message that says what to do."""

from gemini_workshop.demos.settings import DemoSettings
from gemini_workshop.errors import WorkshopError
from gemini_workshop.serving.visitors import RateLimit


class Limits:
    """The limits of one demo, and how often each visitor has come."""

    def __init__(self, settings: DemoSettings) -> None:
        self.settings = settings
        self._rate = RateLimit(settings.rate)

    def check(self, visitor: str, *texts: str) -> None:
        """Count a request.

        Raises:
            WorkshopError: a text is too long, or the visitor has to wait.
        """
        longest, most = max(map(len, texts), default=0), self.settings.max_characters
        if longest > most:
            raise WorkshopError(f"The text has {longest:,} characters, and at most {most:,} are taken. Shorten it.")
        if wait := self._rate.seconds_to_wait(visitor):
            raise WorkshopError(
                f"More than {self.settings.rate} requests came from you in a minute. Wait {wait:.0f} seconds."
            )

    def ids_of(self, token_ids: list[int]) -> list[int]:
        """The same ids.

        Raises:
            WorkshopError: they are more than an explorer shows, or none.
        """
        if len(token_ids) > self.settings.max_tokens:
            raise WorkshopError(
                f"The text has {len(token_ids)} tokens, and at most {self.settings.max_tokens} are shown. Shorten it."
            )
        if len(token_ids) < 2:
            raise WorkshopError("The text is empty. Write a sentence.")
        return token_ids
