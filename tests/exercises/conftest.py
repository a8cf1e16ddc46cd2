"""These tests are about verdicts, not about how busy the machine is."""

import importlib

import pytest


@pytest.fixture(autouse=True, scope="session")
def patient():
    module = importlib.import_module("gemini_workshop.exercises.core.judge")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LIMIT_SECONDS", 60.0)
        yield
