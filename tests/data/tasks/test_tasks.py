"""What holds for every task: the interface, determinism, names, missing corpora."""

import pytest
import torch

from gemini_workshop.data.corpora import MIRROR_VARIABLE, places
from gemini_workshop.data.media.documents import AudioPart, ImagePart, TextPart
from gemini_workshop.data.tasks import find_task, task_names, tasks
from gemini_workshop.errors import DataError
from tests.data.tasks.kit import ALWAYS, HERE, each_task, examples, needs_mirror, tensors_of, text_of


def is_same(one, other):
    media = zip(tensors_of(one), tensors_of(other), strict=True)
    return text_of(one) == text_of(other) and one.answer == other.answer and all(torch.equal(*pair) for pair in media)


@each_task
def test_an_example_has_a_prompt_an_answer_and_media_in_their_range(name):
    task = find_task(name)
    for split in "train", "heldout":
        for example in examples(task, split, 20):
            assert example.task == task.name == name
            assert example.answer == example.answer.strip() != ""
            assert text_of(example) == text_of(example).strip()
            assert name == "stories" or isinstance(example.prompt[-1], TextPart)
            for numbers in tensors_of(example):
                assert numbers.dtype == torch.float32
                assert -1 <= numbers.min() < numbers.max() <= 1
            for part in example.prompt:
                if isinstance(part, ImagePart):
                    assert part.image.min() >= 0
                    assert part.image.shape[0] in (1, 3)
                if isinstance(part, AudioPart):
                    assert part.sample_rate == 8000
                    assert 0.1 < len(part.samples) / 8000 < 4


@each_task
@pytest.mark.parametrize("split", ["train", "heldout"])
def test_an_example_depends_on_its_split_index_and_seed_alone(name, split):
    first, second = find_task(name), find_task(name)
    ahead = examples(first, split, 8)
    for i in reversed(range(8)):
        assert is_same(second.example(i, split), ahead[i])


@each_task
def test_seeds_change_training_and_leave_the_heldout_split_alone(name):
    task = find_task(name)
    assert not all(map(is_same, examples(task, "train", 8), examples(task, "train", 8, seed=1)))
    assert all(map(is_same, examples(task, "heldout", 8), examples(task, "heldout", 8, seed=1)))


@each_task
def test_heldout_examples_differ_and_all_can_be_had(name):
    task = find_task(name)
    last = task.example(len(task) - 1, "heldout")
    assert not is_same(last, task.example(0, "heldout"))
    with pytest.raises(DataError, match=rf"index={len(task)} is beyond the {len(task)} held-out .*task {name}"):
        task.example(len(task), "heldout")


@each_task
def test_training_asks_in_several_ways_and_the_heldout_split_in_one(name):
    task = find_task(name)
    if name in ("stories", "arithmetic", "needle"):
        return
    kinds = {"digit-questions": 10, "image-sound": 2, "compare-images": 2, "films": 3}.get(name, 1)
    heldout = {text_of(each) for each in examples(task, "heldout", min(100, len(task)))}
    train = {text_of(each) for each in examples(task, "train", 300)}
    assert len(heldout) == kinds
    assert heldout < train


def test_an_index_below_zero_is_an_error():
    task = find_task("digits")
    with pytest.raises(DataError, match="index=-1 of the task digits is negative"):
        task.example(-1, "train")


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(DataError, match=r"no task 'digit'. Did you mean 'digits'"):
        find_task("digit")


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """A machine with neither a mirror nor downloads."""
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(places, "download_folder", lambda: tmp_path / "raw")


@pytest.mark.usefixtures("nothing")
def test_without_downloads_nine_tasks_remain_and_work():
    assert list(tasks()) == ALWAYS
    for name, task in tasks().items():
        assert task.example(0, "train").task == name
        assert len(task) > 40
        assert task.example(len(task) - 1, "heldout").answer


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize(
    ("name", "corpus"), [("mnist", "mnist"), ("icon-names", "lucide"), ("spoken-digits", "spoken")]
)
def test_a_task_whose_corpus_is_missing_says_which_and_what_to_do(name, corpus):
    with pytest.raises(DataError, match=rf"{name} needs the corpora {corpus}.*data get.*{MIRROR_VARIABLE}.*films"):
        find_task(name)


@needs_mirror
def test_a_mirror_has_all_tasks():
    assert task_names() == HERE
