"""These tests are about verdicts, not about how busy the machine is."""

import importlib

import jaxtyping
import pytest


@pytest.fixture(autouse=True, scope="session")
def patient():
    module = importlib.import_module("gemini_workshop.exercises.core.judge")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LIMIT_SECONDS", 60.0)
        yield


@pytest.fixture(autouse=True)
def shapes_unchecked():
    """Learners' notebooks check no shapes either, and a check of them doubles the time of a verdict."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def shapes_checked(shapes_unchecked):
    """For the references."""
    jaxtyping.config.update("jaxtyping_disable", False)
