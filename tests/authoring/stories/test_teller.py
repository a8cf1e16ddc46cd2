import pytest

from gemini_workshop.authoring.stories.teller import MARK, Actor, Teller

MIA = Actor(name="Mia", kind="girl", gender="she", trait="old")
BEN = Actor(name="Ben", kind="boy", gender="he", mark=MARK)


@pytest.fixture
def teller() -> Teller:
    teller = Teller(seed=0)
    teller.begin({"hero": MIA, "friend": BEN}, {"color": ["red", "blue"]}, friend_intro="her friend Ben")
    return teller


def test_slots_are_names_and_pronouns(teller):
    assert teller.fill("{hero} lost {hero.his} hat. {hero.He} saw {hero.him}.") == "Mia lost her hat. She saw her."


def test_an_unknown_slot_is_an_error(teller):
    with pytest.raises(AttributeError, match="her"):
        teller.fill("{hero.her}")
    with pytest.raises(KeyError, match="villain"):
        teller.fill("{villain}")


def test_choices_may_be_nested(teller):
    drawn = {teller.fill("[a|b[1|2]]") for _ in range(50)}
    assert drawn == {"a", "b1", "b2"}


def test_a_fact_is_drawn_once(teller):
    teller.fix(thing="@color [hat|ball|key]")
    assert len({teller.fill("{thing}") for _ in range(50)}) == 1
    assert teller.fill("{Thing}") == teller.cast["thing"].capitalize()


def test_every_option_is_dealt_before_any_is_dealt_again(teller):
    dealt = [teller.deal("abcde") for _ in range(20)]
    for start in range(0, 20, 5):
        assert sorted(dealt[start : start + 5]) == list("abcde")


def test_speech_has_its_words_and_its_speaker(teller):
    told = {teller.fill("<hero ask: Where is it?>") for _ in range(200)}
    assert '"Where is it?" asked Mia.' in told
    assert 'Mia asked, "Where is it?"' in told
    assert all("Where is it?" in speech and "Mia" in speech for speech in told)


def test_a_statement_ends_with_a_comma_before_its_tag(teller):
    told = {teller.fill("<hero~ say: Here it is. Look!>") for _ in range(200)}
    assert '"Here it is," she said. "Look!"' in told
    assert 'She said, "Here it is. Look!"' in told


def test_a_speaker_named_in_the_sentence_before_becomes_a_pronoun(teller):
    told = [teller.fill("{hero} smiled. <hero say: Good.>") for _ in range(50)]
    assert all(text.count("Mia") == 1 for text in told)
    told = [teller.fill("{hero} smiled at {friend}. <hero say: Good.>") for _ in range(50)]
    assert all(text.count("Mia") == 2 for text in told)


def test_a_pronoun_gives_way_to_the_name_after_somebody_else_was_named(teller):
    teller.tell("{hero} ran.")
    teller.tell("{hero.He} fell.")
    teller.tell("{friend} laughed.")
    teller.tell("{hero.His} knee hurt.")
    assert teller.text() == "Mia ran. She fell. Her friend Ben laughed. Mia's knee hurt."


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{friend} came. {friend} left.", "Her friend Ben came. Ben left."),
        ("Then {friend} came.", "Then her friend Ben came."),
        ("Ben was there. {friend} left.", "Ben was there. Ben left."),
        ('"Who?" {friend} came.', '"Who?" Her friend Ben came.'),
    ],
)
def test_the_friend_is_introduced_at_the_first_mention(teller, line, text):
    teller.tell(line)
    assert teller.text() == text


def test_a_friend_who_speaks_first_is_introduced_in_the_tag(teller):
    told = set()
    for _ in range(100):
        teller.begin(teller.cast, {}, friend_intro="her friend Ben")
        teller.tell("<friend ask: Who?>")
        told.add(teller.text())
    assert {'"Who?" asked her friend Ben.', '"Who?" her friend Ben asked.', 'Her friend Ben asked, "Who?"'} <= told


def test_the_article_follows_the_next_word(teller):
    teller.tell("{hero.a}, a owl, an ball, An one and A hour, a used a unicorn")
    assert teller.text() == "an old girl, an owl, a ball, A one and An hour, a used a unicorn"
