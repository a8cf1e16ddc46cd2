import pytest

from gemini_workshop import errors
from gemini_workshop.errors import WorkshopError, unknown_name


def test_the_closest_name_is_suggested_and_all_are_listed():
    assert unknown_name("preset", "smal", ["tiny", "small"]) == (
        "There is no preset 'smal'. Did you mean 'small'? Known: tiny, small."
    )


def test_nothing_is_suggested_if_nothing_is_close():
    assert unknown_name("preset", "xyz", ["tiny", "small"]) == "There is no preset 'xyz'. Known: tiny, small."


def test_names_may_come_from_any_iterable_once():
    assert unknown_name("file", "stories", iter(["story", "stories.txt"])).endswith("Known: story, stories.txt.")


@pytest.mark.parametrize("name", ["ConfigError", "DataError", "CheckpointError", "TrainingError"])
def test_every_error_is_a_workshop_error(name):
    kind = getattr(errors, name)
    assert issubclass(kind, WorkshopError)
    assert str(kind("what to do")) == "what to do"
