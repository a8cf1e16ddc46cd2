"""The answers are right: each is found again from the media and the question alone, in another way."""

import re
from collections import Counter

import pytest
import torch

from gemini_workshop.data.media.audio import load_audio
from gemini_workshop.data.media.dial_tones import KEYS, PAUSE_SECONDS, TONE_SECONDS
from gemini_workshop.data.media.images import load_images
from gemini_workshop.data.media.video import MOTIONS
from gemini_workshop.data.tasks import find_task, images
from gemini_workshop.data.tasks.films import FIRST, LAST, WHERE, WHICH
from gemini_workshop.data.tasks.pairs import AGREE, TOGETHER
from gemini_workshop.data.tasks.stories import Needle
from tests.data.media.test_audio import COLUMNS_HZ, ROWS_HZ
from tests.data.media.test_video import DIRECTIONS, steps
from tests.data.tasks.kit import examples, needs_mirror, tensors_of, text_of

WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
)
NUM = 60


def digits_by_image(corpus):
    """Every held-out image of a digit, by its numbers."""
    pool = images.images_of(corpus, "heldout")
    return {
        images.from_bytes(image).numpy().tobytes(): label for image, label in zip(pool.images, pool.labels, strict=True)
    }


def heard_keys(samples):
    period, tone = round((TONE_SECONDS + PAUSE_SECONDS) * 8000), round(TONE_SECONDS * 8000)
    spectra = torch.fft.rfft(samples.reshape(-1, period)[:, :tone], 8000).abs()
    places = zip(*(spectra[:, list(hz)].argmax(dim=1).tolist() for hz in (ROWS_HZ, COLUMNS_HZ)), strict=True)
    return [KEYS[row * 3 + column] for row, column in places]


def heard_digit(samples):
    """What is said in a recording, or the key that is pressed."""
    try:
        return SPOKEN[samples.numpy().tobytes()]
    except KeyError:
        return int(heard_keys(samples)[0])


SPOKEN: dict[bytes, int] = {}


@pytest.fixture(scope="module", autouse=True)
def spoken():
    if "spoken-digits" in find_task("image-sound").corpora:
        SPOKEN.update({clip.samples.numpy().tobytes(): int(clip.caption[-1]) for clip in load_audio("spoken-digits")})


def test_digits_are_named_as_scikit_learn_labels_them():
    labels = load_images("digits").labels[1500:].tolist()
    assert [each.answer for each in examples(find_task("digits"), "heldout", 297)] == [WORDS[label] for label in labels]


@needs_mirror
@pytest.mark.parametrize(("name", "caption"), [("mnist", "the digit {}"), ("fashion-mnist", "an? {}|{}")])
def test_images_of_the_mirror_are_named_as_their_corpus_captions_them(name, caption):
    corpus = load_images(name, "small")
    for i, example in enumerate(examples(find_task(name), "heldout", NUM)):
        image, said = corpus[i]
        torch.testing.assert_close(next(tensors_of(example)), image)
        number = {word: str(digit) for digit, word in enumerate(WORDS)}
        assert re.fullmatch(caption.replace("{}", number.get(example.answer, example.answer)), said.lower())


def test_questions_about_a_digit_are_answered_from_its_shape():
    task = find_task("digit-questions")
    known, holes = digits_by_image(task.corpora[0]), dict(zip("0123-56789", "1000-01021", strict=True))
    for example in examples(task, "heldout", 200):
        digit, question = known[next(tensors_of(example)).numpy().tobytes()], text_of(example)
        if "holes" in question:
            assert example.answer == WORDS[int(holes[str(digit)])]
        elif "odd" in question:
            assert example.answer == ["even", "odd"][digit % 2]
        else:
            limit = WORDS.index(re.fullmatch(r"Is it greater than (\w+)\?", question)[1])
            assert example.answer == ("yes" if digit > limit else "no")


@needs_mirror
@pytest.mark.parametrize(
    ("name", "corpora"), [("emoji-names", ["emoji", "twemoji", "openmoji"]), ("icon-names", ["lucide"])]
)
def test_drawings_have_the_names_of_their_tables(name, corpora):
    task = find_task(name)
    shown = {}
    for corpus in corpora:
        loaded = load_images(corpus)
        small = torch.nn.functional.avg_pool2d(loaded.images, 2).mul(255).round() / 255
        for caption, image in zip(loaded.captions, small, strict=True):
            shown.setdefault(caption, []).append(image)
    for example in examples(task, "heldout", 50):
        (image,) = tensors_of(example)
        assert min(float((image - other).abs().max()) for other in shown[example.answer]) < 0.005


def test_dialled_keys_are_heard_again():
    for split in "train", "heldout":
        for example in examples(find_task("dial-tones"), split, NUM):
            assert example.answer == " ".join(heard_keys(next(tensors_of(example))))


@needs_mirror
def test_spoken_digits_are_those_of_their_recordings():
    heldout = examples(find_task("spoken-digits"), "heldout", 450)
    assert all(each.answer == WORDS[SPOKEN[next(tensors_of(each)).numpy().tobytes()]] for each in heldout)
    assert set(Counter(each.answer for each in heldout).values()) == {45}


def test_what_is_seen_and_heard_agrees_or_adds_up():
    task = find_task("image-sound")
    known = digits_by_image(task.corpora[0])
    for example in examples(task, "heldout", 200):
        image, samples = tensors_of(example)
        seen, heard = known[image.numpy().tobytes()], heard_digit(samples)
        is_sum = "sum" in text_of(example)
        follows = WORDS[seen + heard] if is_sum else "yes" if seen == heard else "no"
        assert example.answer == f"{WORDS[seen]} seen, {WORDS[heard]} heard: {follows}"


def test_two_images_are_compared_as_their_labels_are():
    task = find_task("compare-images")
    known = digits_by_image(task.corpora[0])
    for example in examples(task, "heldout", 200):
        first, second = (known[image.numpy().tobytes()] for image in tensors_of(example))
        both, follows = example.answer.split(": ")
        assert both == f"{WORDS[first]}, {WORDS[second]}"
        if "greater" in text_of(example):
            assert follows == ("first" if first > second else "second" if second > first else None)
        else:
            assert follows == ("yes" if first == second else "no")


@pytest.mark.parametrize("name", ["image-sound", "compare-images", "digit-questions"])
def test_yes_is_as_frequent_as_no(name):
    answers = Counter(each.answer.split(": ")[-1] for each in examples(find_task(name), "heldout", 400))
    assert 0.35 < answers["yes"] / (answers["yes"] + answers["no"]) < 0.65


def test_image_and_audio_come_in_both_orders_in_training_and_in_one_when_held_out():
    task = find_task("image-sound")
    orders = {
        split: Counter(type(each.prompt[0]).__name__ for each in examples(task, split, 100))
        for split in ("train", "heldout")
    }
    assert 30 < orders["train"]["AudioPart"] < 70
    assert orders["heldout"] == {"ImagePart": 100}


def test_films_move_as_the_answer_says_and_show_the_digits_that_it_names():
    digits = digits_by_image("digits")

    def digit_in(frame):
        windows = frame.unfold(1, 16, 1).unfold(2, 16, 1).reshape(-1, 1, 16, 16)
        found = [digits[key] for window in windows if (key := window.contiguous().numpy().tobytes()) in digits]
        assert len(set(found)) == 1
        return WORDS[found[0]]

    for example in examples(find_task("films"), "heldout", 80):
        (video,) = tensors_of(example)
        assert video.shape == (8, 1, 24, 24)
        if "order" in text_of(example):
            assert example.answer == f"{digit_in(video[0])} then {digit_in(video[7])}"
            assert digit_in(video[3]) == digit_in(video[0])
        elif "Which" in text_of(example):
            assert example.answer == digit_in(video[0]) == digit_in(video[7])
        else:
            moved = steps(video)[0]
            assert torch.equal(moved.round().sign(), torch.tensor(DIRECTIONS[example.answer]).float())


def test_a_needle_is_at_its_depth_in_a_text_of_its_length_and_is_the_answer():
    task = Needle(lengths=(30, 90), depths=(0.0, 0.5, 1.0), repeats=4)
    assert len(task) == 24
    for i, example in enumerate(examples(task, "heldout", 24)):
        length, depth = (30, 90)[i // 12], (0.0, 0.5, 1.0)[i // 4 % 3]
        assert task.cell(i) == (length, depth)
        hay, question = text_of(example).split("\n\n")
        who = re.fullmatch(r"What is the secret number of the (\w+ \w+)\?", question)[1]
        before, number, after = re.split(rf"The secret number of the {who} is (\d+)\.", hay)
        assert number == example.answer
        num_before, num_after = len(before.split()), len(after.split())
        assert num_before + num_after <= length or "." not in (before + after).strip()[:-1]
        assert abs(num_before / (num_before + num_after) - depth) < 0.35
        assert depth not in (0.0, 1.0) or num_before / (num_before + num_after) == depth


def expected(question):
    """An answer found by the words of the question."""
    a, b = map(int, re.findall(r"\d+", question))
    if re.search(r"greater|is more\?", question):
        return max(a, b)
    if re.search(r"smaller|is less\?", question):
        return min(a, b)
    if re.search(r" - |minus|Take|gives \d+ of|takes|How many more", question):
        return abs(a - b)
    assert re.search(r"\+|plus|Add|more\. |more into|together", question), question
    return a + b


def test_arithmetic_is_right_and_never_below_zero():
    task = find_task("arithmetic")
    for split in "train", "heldout":
        for example in examples(task, split, 400):
            assert int(example.answer) == expected(text_of(example)) >= 0


def test_numbers_of_all_lengths_are_frequent():
    questions = [text_of(each) for each in examples(find_task("arithmetic"), "train", 400)]
    lengths = Counter(len(number) for question in questions for number in re.findall(r"\d+", question))
    assert lengths.keys() == {1, 2, 3}
    assert min(lengths.values()) > 200


def test_further_questions_about_an_image_and_a_voice_are_about_the_same_two():
    many = examples(find_task("image-sound"), "train", NUM)
    assert {len(each.more) for each in many} == {1}
    for each in many:
        answers = dict(each.more) | {each.prompt[-1].text: each.answer}
        (total,) = (answer for question, answer in answers.items() if question in TOGETHER)
        (agree,) = (answer for question, answer in answers.items() if question in AGREE)
        seen, heard, follows = re.fullmatch(r"(\w+) seen, (\w+) heard: (\w+)", total).groups()
        assert WORDS.index(follows) == WORDS.index(seen) + WORDS.index(heard)
        assert agree == f"{seen} seen, {heard} heard: {'yes' if seen == heard else 'no'}"


def test_further_questions_about_a_film_are_about_the_same_film():
    for each in examples(find_task("films"), "train", NUM):
        if " then " in each.answer:
            assert {a for q, a in each.more if q in FIRST} == {each.answer.split()[0]}
            assert {a for q, a in each.more if q in LAST} == {each.answer.split()[-1]}
        else:
            [(question, answer)] = each.more
            assert (answer in MOTIONS, answer in WORDS) == (question in WHERE, question in WHICH)


def test_of_two_hidden_numbers_each_is_asked_for():
    for each in examples(find_task("needle"), "train", NUM):
        text = text_of(each)
        hidden = dict(re.findall(r"The secret number of the (\w+ \w+) is (\d+)\.", text))
        for question, answer in [(text.split("\n\n")[-1], each.answer), *each.more]:
            [who] = [who for who in hidden if f"the {who}" in question]
            assert hidden[who] == answer


def test_of_what_is_held_out_one_thing_is_asked():
    for name in "image-sound", "films", "needle":
        assert not any(each.more for each in examples(find_task(name), "heldout", 20))
