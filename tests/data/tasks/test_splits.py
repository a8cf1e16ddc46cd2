"""What is held out is in no training example of any task: thousands of these are looked at."""

import re

import pytest
import torch

from gemini_workshop.config import load_config
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.media.audio import load_audio
from gemini_workshop.data.media.documents import AudioPart, ImagePart
from gemini_workshop.data.media.images import load_images
from gemini_workshop.data.tasks import emoji, find_task, splits, voices
from gemini_workshop.data.tasks import images as pools
from gemini_workshop.data.tasks import stories as texts
from gemini_workshop.data.tasks.hearing import SpokenDigits
from gemini_workshop.data.tasks.pairs import ImageSound
from gemini_workshop.data.tasks.words import WORDS
from tests.data.tasks.kit import HERE, examples, needs_mirror, tensors_of, text_of

IMAGE_TASKS = [
    name for name in HERE if name in {"digits", "mnist", "fashion-mnist", "digit-questions", "compare-images"}
]


CORPORA = [name for name in HERE if name in {"digits", "mnist", "fashion-mnist"}]
ALL = {(a, b) for a in range(10) for b in range(10)}


def bytes_of(images):
    """Something to compare images by."""
    return {image.numpy().tobytes() for image in images}


def keys_of(images):
    """The same, of images from 0 to 1."""
    return bytes_of(pools.to_bytes(image) for image in images)


@pytest.fixture
def unchanged(monkeypatch):
    """Training without augmentation, so that an image or a recording can be recognized."""
    for module in (pools, emoji):
        monkeypatch.setattr(module, "augment", lambda image, *_: image)
    monkeypatch.setattr(voices, "varied", lambda samples, _: samples)


def images_in(task, split, num_examples):
    return keys_of(
        tensor for each in examples(task, split, num_examples) for tensor in tensors_of(each) if tensor.ndim == 3
    )


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", [*IMAGE_TASKS, "image-sound"])
def test_no_training_image_is_a_heldout_one(name):
    task = find_task(name)
    train, heldout = (bytes_of(pools.images_of(task.corpora[0], split).images) for split in ("train", "heldout"))
    assert train & heldout == set()
    shown = images_in(task, "train", 2000)
    assert len(shown) > 1000
    assert shown <= train
    assert images_in(task, "heldout", 290) <= heldout


@pytest.mark.parametrize("corpus", CORPORA)
def test_heldout_images_are_the_end_of_digits_and_the_test_split_of_the_others(corpus):
    train, heldout = (pools.images_of(corpus, split) for split in ("train", "heldout"))
    if corpus == "digits":
        labels = load_images("digits").labels.tolist()
        assert (train.labels, heldout.labels) == (labels[:1500], labels[1500:])
    else:
        assert torch.equal(pools.from_bytes(heldout.images[:99]), load_images(corpus, "small").images[:99])
        assert len(train.labels) == len(load_images(corpus))


@pytest.mark.usefixtures("unchanged")
def test_films_show_the_digits_of_their_split():
    for split in ("train", "heldout"):
        own = bytes_of(pools.images_of("digits", split).images)
        for example in examples(find_task("films"), split, 100):
            for frame in next(tensors_of(example))[[0, -1]]:
                windows = frame[0].unfold(0, 16, 1).unfold(1, 16, 1).reshape(-1, 1, 16, 16)
                brightest = windows.flatten(1).sum(dim=1)
                assert keys_of(windows[brightest > brightest.max() - 1e-3]) & own


@needs_mirror
@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", ["emoji-names", "icon-names"])
def test_no_drawing_is_in_both_splits_and_every_heldout_name_is_known(name):
    task = find_task(name)
    train = examples(task, "train", 3000)
    heldout = examples(task, "heldout", len(task))

    def pairs(found):
        return {(each.answer, *keys_of(tensors_of(each))) for each in found}

    assert pairs(train) & pairs(heldout) == set()
    assert {each.answer for each in heldout} <= {name for name, _ in emoji.emoji("train")}


@needs_mirror
def test_a_third_of_the_names_of_emoji_lack_a_style_in_training():
    names = [name for name, _ in emoji.emoji("heldout")]
    assert len(names) == len(set(names))
    assert 0.3 < len(names) / len({name for name, _ in emoji.emoji("train")}) < 0.36


@needs_mirror
@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("make", [SpokenDigits, ImageSound])
@pytest.mark.parametrize("speaker", ["george", "jackson"])
def test_the_heldout_speaker_is_silent_in_training(make, speaker):
    own = {clip.samples.numpy().tobytes() for clip in load_audio("spoken-digits") if clip.speaker == speaker}
    task = make(heldout_speaker=speaker)

    def heard(split, num_examples):
        parts = (part for each in examples(task, split, num_examples) for part in each.prompt)
        return {part.samples.numpy().tobytes() for part in parts if isinstance(part, AudioPart)}

    assert heard("heldout", 400) <= own
    others = heard("train", 2000)
    assert len(others) > 500
    assert others & own == set()


def test_keys_that_are_dialled_in_one_split_are_not_in_the_other():
    task = find_task("dial-tones")
    train, heldout = ({each.answer for each in examples(task, split, 500)} for split in ("train", "heldout"))
    assert train & heldout == set()
    assert all(splits.are_keys_held_out(answer.replace(" ", "")) for answer in heldout)
    assert not any(splits.are_keys_held_out(answer.replace(" ", "")) for answer in train)


def pair_in(example):
    return sorted(map(int, re.findall(r"\d+", text_of(example))))


def test_pairs_of_numbers_are_in_one_split_alone():
    task = find_task("arithmetic")
    train = {tuple(pair_in(each)) for each in examples(task, "train", 4000)}
    heldout = {tuple(pair_in(each)) for each in examples(task, "heldout", len(task))}
    assert all(len(pair) == 2 for pair in train | heldout)
    assert train & heldout == set()
    small = {pair for pair in train if pair[1] < 10}
    assert small == {(a, b) for a, b in ALL if a < b}, "pairs of single digits are all in training"


@pytest.fixture
def shown(monkeypatch):
    """The digits of the images, noted as they are asked for."""
    noted = []

    def some(self, label, draw):
        noted.append(label)
        return ImagePart(image=torch.full((1, 8, 9), 0.5))

    monkeypatch.setattr(pools.Images, "some", some)
    return noted


def test_training_compares_all_digits(shown):
    task = find_task("compare-images")
    compared = set()
    for i in range(3000):
        if task.example(i, "train").answer.endswith(("first", "second")):
            compared.add(tuple(shown[-2:]))
    assert compared == {(a, b) for a, b in ALL if a != b}


def test_training_adds_all_digits(shown):
    task = find_task("image-sound")
    added = set()
    for i in range(3000):
        answer = task.example(i, "train").answer.split(": ")[-1]
        if answer not in ("yes", "no"):
            added.add((shown[-1], WORDS.index(answer) - shown[-1]))
    assert added == ALL


def test_hidden_facts_are_in_one_split_alone():
    task = find_task("needle")

    def facts(split, num_examples):
        found = [
            re.findall(r"The secret number of the (\w+ \w+) is (\d+)\.", text_of(each))
            for each in examples(task, split, num_examples)
        ]
        assert {len(each) for each in found} == ({1, 2} if split == "train" else {1})
        return {fact for each in found for fact in each}

    assert facts("train", 2000) & facts("heldout", len(task)) == set()


def test_stories_are_split_as_training_a_text_model_splits_them():
    assert load_config("tiny").training.validation_fraction == splits.STORY_FRACTION
    corpora = find_task("stories").corpora
    train, heldout = (texts.stories_of(split, corpora) for split in ("train", "heldout"))
    assert set(train) & set(heldout) == set()
    assert set(load_documents("stories")) <= set(train) | set(heldout)
    assert 0.03 < len(heldout) / len(train) < 0.07


def test_the_stories_around_a_needle_are_of_its_split():
    task = find_task("needle")
    for split in "train", "heldout":
        sentences = set(re.split(r"(?<=[.!?])\s+", " ".join(" ".join(texts.stories_of(split, task.corpora)).split())))
        for example in examples(task, split, 100):
            hay = text_of(example).split("\n\n")[0]
            found = set(re.split(r"(?<=[.!?])\s+", hay))
            assert len(found - sentences) <= (3 if split == "train" else 2), found - sentences
