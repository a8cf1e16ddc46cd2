import pytest

from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.preprocessing.quality import (
    QualityLimits,
    duplicate_line_fraction,
    duplicate_phrase_fraction,
    quality_fault,
    symbol_fraction,
    top_phrase_fraction,
    words_of,
)
from gemini_workshop.errors import DataError

PROSE = {
    "English": "Once upon a time a fox lived near a river. Every morning it walked to the water and looked for fish.",
    "German": "Es war einmal ein Fuchs, der lebte am Fluss. Jeden Morgen ging er ans Wasser und suchte nach Fischen.",
    "Russian": "Жила-была лиса у реки. Каждое утро она ходила к воде и искала рыбу, а вечером спала под деревом.",
    "Chinese": "从前有一只狐狸住在河边。每天早上它都走到水边找鱼,晚上就睡在树下。",
    "Hindi": "एक समय की बात है, नदी के किनारे एक लोमड़ी रहती थी। हर सुबह वह पानी के पास जाती और मछली ढूँढती थी।",
    "Arabic": "كان يا ما كان، كان هناك ثعلب يعيش قرب النهر. كل صباح كان يمشي إلى الماء ويبحث عن السمك ثم ينام.",
    "Thai": "กาลครั้งหนึ่งมีสุนัขจิ้งจอกอาศัยอยู่ริมแม่น้ำ ทุกเช้ามันเดินไปที่น้ำและหาปลากิน",
    "code": "def area(width, height):\n    '''The area.'''\n    if width < 0:\n        raise ValueError(width)\n"
    "    return width * height\n",
}


@pytest.mark.parametrize("language", PROSE)
def test_prose_of_any_language_passes(language):
    assert quality_fault(PROSE[language], QualityLimits(min_characters=10)) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Too short.", "too short"),
        ("word " * 300_000, "too long"),
        ("|--|==|##|" * 20 + " words among symbols", "mostly symbols"),
        ("Click here to read more about it!\n" * 5 + "Some other line stands here.", "repeated lines"),
        ("buy it now " * 30, "one phrase over and over"),
        ("买一送一吧" * 30, "one phrase over and over"),
        (
            "the first thing to say is that all is well here and "
            "nobody knows why or when it was, but the first thing to say is that all is well here",
            "repeated phrases",
        ),
    ],
)
def test_each_limit_has_its_fault(text, fault):
    assert quality_fault(text, QualityLimits()) == fault


@pytest.mark.parametrize(
    ("limits", "text", "fault"),
    [
        (QualityLimits(min_characters=3), "ab", "too short"),
        (QualityLimits(min_characters=2), "ab", None),
        (QualityLimits(min_characters=0, max_characters=2), "ab", None),
        (QualityLimits(min_characters=0, max_characters=1), "ab", "too long"),
        (QualityLimits(min_characters=0, max_symbol_fraction=0.5), "ab!?", None),
        (QualityLimits(min_characters=0, max_symbol_fraction=0.5), "ab!?!", "mostly symbols"),
    ],
)
def test_a_limit_itself_is_within(limits, text, fault):
    assert quality_fault(text, limits) == fault


def test_limits_that_let_nothing_through_are_an_error():
    with pytest.raises(DataError, match="min_characters=9 and max_characters=8 let nothing through"):
        QualityLimits(min_characters=9, max_characters=8)


def test_an_empty_text_has_no_shares():
    assert (
        symbol_fraction(" \n")
        == duplicate_line_fraction("\n")
        == top_phrase_fraction([])
        == duplicate_phrase_fraction([])
        == 0.0
    )


def test_a_phrase_that_occurs_twice_is_no_repetition():
    assert top_phrase_fraction(("one two three " * 2).split()) == 0.0
    assert top_phrase_fraction(("one two three " * 3 + "four").split()) == pytest.approx(33 / 37)


def test_a_phrase_that_overlaps_itself_counts_once_a_place():
    assert top_phrase_fraction(["la"] * 10) == pytest.approx(9 / 10)


def test_shares_lie_between_nothing_and_all():
    for text in ("a", "!!!", "x\nx\nx", "la " * 50):
        words = words_of(text)
        for share in (
            symbol_fraction(text),
            duplicate_line_fraction(text),
            top_phrase_fraction(words),
            duplicate_phrase_fraction(words),
        ):
            assert 0 <= share <= 1


def test_the_embedded_stories_pass():
    assert {quality_fault(story, QualityLimits()) for story in load_documents("stories")} == {None}
