"""Rows of tasks, with two tasks made for these tests: one asks for the number of an image, one is a story."""

import dataclasses

import pytest
import torch

from gemini_workshop.config import MediaConfig
from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.data.media.documents import ImagePart, TextPart
from gemini_workshop.data.media.encoding import AUDIO, IMAGE, MARKS, MediaEncoder
from gemini_workshop.data.tasks.example import Example
from gemini_workshop.data.tasks.rows import TaskRows
from gemini_workshop.data.tasks.stages import Stage
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import DataError

TOKENIZER = BPETokenizer.train(["which number"], 256 + 1 + len(MARKS), special_tokens=MARKS)
IDS = TOKENIZER.special_tokens
MEDIA = MediaConfig(image_token_id=IDS[IMAGE], audio_token_id=IDS[AUDIO], patch_pixels=2, max_rows=4)
END = TOKENIZER.end_of_text_id


class Numbers:
    name, about, source = "numbers", "the number of an image", "generated"

    def __len__(self):
        return 7

    def example(self, index, split, seed=0):
        assert split == "train" or index < 7
        image = torch.full((1, 4, 4), (index % 100) / 100)
        return Example(
            task=self.name, prompt=(ImagePart(image=image), TextPart(text="number?")), answer=str(index % 100)
        )


class Twice(Numbers):
    def example(self, index, split, seed=0):
        return dataclasses.replace(super().example(index, split, seed), more=(("and twice?", "two"),))


class Long(Numbers):
    def example(self, index, split, seed=0):
        return Example(task=self.name, prompt=(TextPart(text="a long question " * 9),), answer="no")


class Tales:
    name, about, source = "tales", "a tale", "generated"

    def __len__(self):
        return 3

    def example(self, index, split, seed=0):
        return Example(task=self.name, prompt=(), answer=f"tale {index} " * 20)


def rows(context_tokens=96, num_rows=5, **changes):
    given = {"tasks": {"numbers": Numbers(), "tales": Tales()}, "weights": {"numbers": 0.8, "tales": 0.2}} | changes
    tasks, weights = given.pop("tasks"), given.pop("weights")
    stages = given.pop("stages", [Stage(name="all", share=1.0, weights=weights)])
    return TaskRows(MediaEncoder(TOKENIZER, MEDIA), tasks, stages, context_tokens, num_rows, **given)


def documents(row):
    """Inputs and targets of each segment."""
    for segment in range(1, int(row.segment_ids.max()) + 1):
        yield row.inputs[row.segment_ids == segment].tolist(), row.targets[row.segment_ids == segment].tolist()


def test_only_the_answer_to_a_question_is_predicted():
    [row] = [rows(tasks={"numbers": Numbers()}, weights={"numbers": 1.0}, num_rows=1)[0]]
    seen = list(documents(row))
    assert len(seen) > 1
    for number, (inputs, targets) in enumerate(seen):
        predicted = [target for target in targets if target != IGNORE_INDEX]
        assert predicted[-1] == END
        answer = TOKENIZER.decode(predicted[:-1])
        assert answer == str(round(100 * float(row.media.patches[0, 4 * number, 0])))  # of its own image
        assert inputs[0] == END
        assert inputs[-len(predicted)] == IDS["<|turn_end|>"]
        assert TOKENIZER.decode(inputs).endswith(f"number?<|turn_end|>{answer}")


def test_of_two_questions_about_one_image_both_answers_are_predicted():
    row = rows(tasks={"numbers": Twice()}, weights={"numbers": 1.0}, num_rows=1)[0]
    inputs, targets = next(documents(row))
    places = [i for i, target in enumerate(targets) if target != IGNORE_INDEX]
    first = places[: places[1:].index(next(i for i, j in zip(places[1:], places, strict=False) if i > j + 1)) + 1]
    then = places[len(first) :]
    assert first == list(range(first[0], first[-1] + 1)), "the second question is not predicted"
    assert targets[first[-1]] == targets[then[-1]] == END
    assert TOKENIZER.decode([targets[i] for i in then[:-1]]) == "two"
    asked = inputs[first[-1] + 1 : then[0] + 1]
    assert TOKENIZER.decode(asked) == "<|endoftext|>and twice?<|turn_end|>"
    assert inputs.count(IDS[IMAGE]) == 4, "the image is there once"


def test_all_of_a_story_is_predicted_and_a_long_one_is_cut():
    row = rows(tasks={"tales": Tales()}, weights={"tales": 1.0}, context_tokens=60)[0]
    [(inputs, targets)] = documents(row)
    assert len(inputs) == 60
    assert inputs[0] == END
    assert targets[:-1] == inputs[1:]
    assert row.media.patches.shape[1] == 0


def test_no_target_is_a_place_of_media():
    batch = rows(num_rows=20).batch(range(20))
    assert not set(batch.targets.unique().tolist()) & {IDS[IMAGE], IDS[AUDIO]}


def test_a_batch_holds_as_many_patches_as_places():
    batch = rows(num_rows=20).batch(range(20))
    assert batch.inputs.shape == (20, 96)
    num_places = (batch.inputs == IDS[IMAGE]).sum(dim=1)
    assert batch.media.patches.shape[:2] == (20, int(num_places.max()))
    part = batch.split(3)[1]
    assert torch.equal(part.media.patches, batch.media.patches[7:14])
    assert torch.equal(part.inputs, batch.inputs[7:14])


def test_a_row_depends_on_its_number_the_seed_and_the_split_alone():
    def ids(*, number=3, **changes):
        return rows(**changes)[number].inputs.tolist()

    assert ids() == ids() == ids(num_rows=99)
    assert ids() != ids(number=4)
    assert ids() != ids(seed=1)
    assert ids() != ids(split="heldout")


def test_every_task_has_its_share():
    many = rows(num_rows=60, weights={"numbers": 0.5, "tales": 0.5}, context_tokens=300)
    numbers = tales = 0
    for number in range(60):
        for inputs, _ in documents(many[number]):
            numbers, tales = numbers + (IDS[IMAGE] in inputs), tales + (IDS[IMAGE] not in inputs)
    assert 0.35 < numbers / (numbers + tales) < 0.75  # tales fill rows, and what is cut counts, too


def test_each_stage_has_its_own_rows():
    stages = [
        Stage(name="text", share=0.25, weights={"tales": 1.0}),
        Stage(name="instructions", share=0.75, weights={"numbers": 1.0}),
    ]
    staged = rows(stages=stages, num_rows=8)
    assert [IDS[IMAGE] in staged[number].inputs for number in range(8)] == [False] * 2 + [True] * 6


class SeldomShort(Numbers):
    """Nine of ten examples are too long for a row."""

    def example(self, index, split, seed=0):
        return (Numbers if index % 10 == 0 else Long).example(self, index, split, seed)


def test_a_row_is_found_for_a_task_whose_examples_seldom_fit():
    found = rows(tasks={"numbers": SeldomShort()}, weights={"numbers": 1.0}, context_tokens=25, num_rows=20)
    assert all(IDS[IMAGE] in found[number].inputs for number in range(20))


def test_what_cannot_work_is_refused():
    with pytest.raises(DataError, match="Examples of numbers do not fit into rows of 25 tokens"):
        rows(tasks={"numbers": Long()}, weights={"numbers": 1.0}, context_tokens=25)[0]
    with pytest.raises(IndexError, match="row 5 of 5"):
        rows()[5]
