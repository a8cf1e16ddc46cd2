import functools

from gemini_workshop.evaluation.sandbox.running import Sandbox, SandboxError


@functools.cache
def why_not_isolated() -> str:
    """What keeps this machine from isolating programs; empty if it can."""
    try:
        with Sandbox():
            return ""
    except SandboxError as error:
        return str(error)
