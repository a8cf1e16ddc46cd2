"""Who a story is about: a hero, a friend, an elder and a home are dealt, and the opening is told."""

from dataclasses import replace

from gemini_workshop.authoring.stories.grammar import read_grammar
from gemini_workshop.authoring.stories.teller import MARK, Actor, Teller


def begin_story(teller: Teller) -> None:
    """Deal a cast and a home, and tell the opening."""
    grammar = read_grammar("cast")
    is_animal = teller.chance(0.4)
    gender = teller.deal(["he", "she"])
    other = "she" if gender == "he" else "he"  # so that a pronoun is never in doubt
    hero = make_actor(teller, is_animal, gender)
    friend = replace(make_actor(teller, is_animal, other, avoid=hero.kind), mark=MARK)
    elders = grammar["animal_elders" if is_animal else "elders"]
    elder_name, elder_gender = teller.deal(list(elders.items()), ("elder", is_animal))
    elder = Actor(name=elder_name, kind="elder", gender=elder_gender)
    intro = f"{friend.name} the {friend.kind}" if is_animal else f"{hero.his} friend {friend.name}"
    teller.begin({"hero": hero, "friend": friend, "elder": elder}, read_grammar("words"), friend_intro=intro)
    teller.fix(
        home=teller.deal(grammar["animal_homes" if is_animal else "homes"]),
        hobby=teller.deal(grammar["hobbies"]),
        buddy=friend.name,
        world="animals" if is_animal else "children",
    )
    _open(teller)


def _open(teller: Teller) -> None:
    """Tell an opening; each has the same chance. After one in the middle of a day, the plot begins "later"."""
    general, specific = read_grammar("cast")["general_openings"], read_grammar("cast")["specific_openings"]
    num_general, num_specific = len(general.splitlines()), len(specific.splitlines())
    is_general = teller.chance(num_general / (num_general + num_specific))
    teller.tell(general if is_general else specific)
    teller.fix(when="@general" if is_general else "@later")


def make_actor(teller: Teller, is_animal: bool, gender: str, avoid: str = "") -> Actor:
    """Deal a name, a trait and, for an animal, a kind other than ``avoid``."""
    grammar = read_grammar("cast")
    if not is_animal:
        name = teller.deal(grammar["boys" if gender == "he" else "girls"])
        kind = "boy" if gender == "he" else "girl"
        return Actor(name=name, kind=kind, gender=gender, trait=teller.deal(grammar["traits"]))
    name = teller.deal(grammar["he_animals" if gender == "he" else "she_animals"])
    kind = teller.deal([kind for kind in grammar["kinds"] if kind != avoid], ("kind", avoid))
    return Actor(name=name, kind=kind, gender=gender, trait=teller.deal(grammar["traits"]), hand="paw")


def make_stranger(teller: Teller) -> Actor:
    """Somebody of the hero's world with another name than hero and friend, and with a pronoun unlike the hero's."""
    hero, friend = teller.cast["hero"], teller.cast["friend"]
    while True:
        gender = "she" if hero.gender == "he" else "he"
        actor = make_actor(teller, teller.cast["world"] == "animals", gender, avoid=hero.kind)
        if actor.name not in (hero.name, friend.name):
            return actor
