"""Who and where the workshop's stories are about: names, homes, word lists, openings and closings."""

# ruff: noqa: E501  (a sentence and its alternatives stay on one line)
from dataclasses import replace

from gemini_workshop.data.storytelling.teller import MARK, Actor, Teller

GIRLS = [
    *["Lily", "Mia", "Anna", "Rosie", "Ella", "Nora", "Ivy", "Ruby", "Zoe", "Tess", "Maya", "Clara", "June", "Hana"],
    *["Alma", "Leila", "Priya", "Emma", "Sofia", "Grace"],
]
BOYS = [
    *["Ben", "Tom", "Sam", "Max", "Leo", "Finn", "Oscar", "Jack", "Theo", "Noah", "Eli", "Omar", "Kai", "Hugo"],
    *["Raj", "Luca", "Toby", "Adam", "Felix", "Jonah"],
]
SHE_ANIMALS = ["Hazel", "Daisy", "Nutmeg", "Willow", "Pepper", "Clover", "Juniper", "Poppy", "Tilly", "Fern"]
HE_ANIMALS = ["Pip", "Bramble", "Rusty", "Bruno", "Moss", "Dusty", "Otto", "Wally", "Barney", "Acorn"]
KINDS = [
    "rabbit",
    "fox",
    "bear",
    "mouse",
    "squirrel",
    "hedgehog",
    "badger",
    "otter",
    "raccoon",
    "beaver",
    "mole",
    "cat",
]
ELDERS = {"Mom": "she", "Dad": "he", "Grandma": "she", "Grandpa": "he", "Aunt Rose": "she", "Uncle Joe": "he"}
ANIMAL_ELDERS = {"Mama": "she", "Papa": "he", "Grandma": "she", "Grandpa": "he", "Aunt Bella": "she", "Uncle Gus": "he"}
TRAITS = [
    "little",
    "small",
    "curious",
    "cheerful",
    "kind",
    "shy",
    "brave",
    "quiet",
    "lively",
    "gentle",
    "clever",
    "busy",
]
HOMES = [
    *["in a small house near the woods", "at the edge of a quiet village", "in a yellow house on a hill"],
    *["beside a wide, slow river", "close to the sea", "at the end of a long lane", "in a cottage with a red door"],
    *["on a sunny farm", "in a little town between two hills", "next to an old stone bridge"],
]
ANIMAL_HOMES = [
    *["in a hollow tree", "in a warm hole under an oak", "near the edge of the forest", "beside a quiet pond"],
    *["under the roots of an old tree", "in a green valley", "at the foot of a hill", "in the middle of the woods"],
    *["not far from a busy farm", "where the river bends"],
]
HOBBIES = [
    *[
        "to sing",
        "to draw",
        "to climb trees",
        "to collect round stones",
        "to tell jokes",
        "to dance",
        "to look at clouds",
    ],
    *["to bake", "to listen to stories", "to pick flowers", "to build little houses out of sticks", "to count birds"],
    *["to splash in puddles", "to hum old songs", "to ask questions", "to run down hills", "to feed the ducks"],
]
WORDS = {
    "glad": ["happy", "glad", "full of joy", "very pleased", "delighted", "cheerful"],
    "sad": ["sad", "upset", "unhappy", "close to tears"],
    "proud": ["proud", "very proud", "proud and happy", "pleased and proud"],
    "scared": ["scared", "afraid"],
    "color": ["red", "blue", "green", "yellow", "orange", "white", "silver", "brown"],
    "nice": ["lovely", "pretty", "beautiful", "special", "wonderful"],
    "snack": ["an apple", "some bread and honey", "a warm bun", "a bowl of berries", "some cheese", "a piece of pie"],
    "sight": [
        *["a yellow butterfly", "three ducks in a row", "a bird on a branch", "a red bird", "a rabbit with long ears"],
        *["a cloud that looked like a fish", "a small black kitten", "a goat on a wall", "two white ducks"],
        *["a green frog", "a sleepy owl", "a brown hen", "a fat bee", "a leaf as big as a plate"],
    ],
    "general": [
        *["One day", "One morning", "One sunny afternoon", "On Saturday", "One warm day", "On a bright Monday"],
        *["One afternoon", "Early one morning", "On Sunday", "Last spring", "One fine day"],
        *["On a quiet Tuesday", "One day in summer", "Just after breakfast one day", "One Friday"],
    ],
    "later": [
        *["Later that day", "After a while", "Before long", "A little later", "Soon", "Not much later"],
        *["Before lunch", "Later that morning", "When the clock struck ten", "An hour later"],
    ],
    "walk": ["walked", "went", "hurried", "ran", "rushed"],
    "look": ["looked", "searched", "peeked", "hunted"],
    "very": ["very", "so", "really"],
}

# How a story may begin. GENERAL ones tell how things usually are, so the plot goes on with "One day"; SPECIFIC ones
# are in the middle of a day already.
GENERAL = """
Once upon a time, there was {hero.a} [named|called] {hero}.
Once upon a time, {hero.a} named {hero} lived {home}.
There was once {hero.a} [named|called] {hero} who lived {home}.
{Home}, there lived {hero.a} whose name was {hero}.
{Home} lived {hero.a} named {hero}. {hero.He} loved {hobby}.
{hero} was {hero.a} who loved {hobby}.
{hero} lived {home} with {hero.his} family.
This is the story of {hero}, {hero.a} who lived {home}.
Have you heard of {hero}? {hero.He} was {hero.a} who loved {hobby}.
Long ago, {hero.a} named {hero} lived {home}.
Every morning, {hero} woke up before everybody else. {hero.He} liked {hobby} while the house was still quiet.
Nobody laughed as [loudly|often] as {hero}, {hero.a} who lived {home}.
Whoever came by could hear {hero} from far away. {hero.He} was {hero.a}, and {hero.he} loved {hobby}.
Everyone liked {hero}. {hero.He} was {hero.a} with [bright eyes|a big smile|a soft voice|a warm heart].
Two friends, {hero} and {buddy}, lived {home}.
{hero} and {buddy} were best friends. They [played together every day|did almost everything together].
Most days, {hero} was busy. {hero.He} loved {hobby}.
What {hero} liked best was {hobby}. {hero.He} did it [every day|whenever {hero.he} could].
In a place not far from here, {hero.a} named {hero} lived with {elder}.
{elder} had a helper named {hero}. {hero.He} was {hero.a} who lived {home}.
You would have liked {hero}. {hero.He} was {hero.a}, and {hero.he} lived {home}.
All the neighbors knew {hero}, because {hero.he} always stopped to say hello.
Far away, {home}, a {hero.kind} named {hero} lived happily with {elder}.
A {hero.kind} called {hero} lived {home}. [It was a good place to live.|{hero.He} knew every path there.]
""".strip()
SPECIFIC = """
It was a [bright|warm|clear|fine] morning, and {hero} woke up [early|smiling|with a big idea].
The sun was [shining|high in the sky|warm and bright]. {hero}, {hero.a}, ran outside to play.
The rain had stopped at last. {hero}, {hero.a}, could hardly wait to go out.
"Wake up, {hero}!" called {elder}. "It is a [beautiful|lovely|wonderful] day!"
"What shall we do today?" {hero} asked at breakfast. {hero.He} was {hero.a}, and {hero.he} loved {hobby}.
Birds were singing when {hero} opened {hero.his} eyes. It was going to be a good day.
On the first day of [spring|summer], {hero} jumped out of bed.
{hero} had a plan for the day. First {hero.he} would eat breakfast, and then {hero.he} would play.
Knock, knock! {buddy} was at the door, and {hero} ran to open it.
A soft wind was blowing when {hero} stepped outside. {hero.He} was {hero.a} who lived {home}.
Breakfast was over, and {hero} had nothing to do. {hero.He} was {hero.a}, so {hero.he} soon thought of something.
Today {hero} felt [wonderful|full of energy|ready for anything]. {hero.He} [sang|hummed|whistled] as {hero.he} got up.
The whole house smelled of [warm bread|pancakes|fresh buns]. {hero} ate two helpings and smiled at {elder}.
Nothing ever seemed to happen where {hero} lived. But today was going to be different.
Yesterday had been rainy, but today the sky was blue. {hero} was [happy|glad] about that.
{elder} was [humming|whistling|reading] in the kitchen, and {hero} was [drawing|playing|thinking] under the table.
After a long sleep, {hero} stretched and yawned. Then {hero.he} remembered what day it was and jumped up.
With a piece of toast in one {hero.hand}, {hero} ran out of the door. {hero.He} did not want to miss a minute of the day.
""".strip()
CLOSINGS = """
That night, {hero} fell asleep with a smile.
It had been a very good day.
{hero} told the whole story again at bedtime.
In the end, everybody was @glad.
{hero} never forgot that day.
The moon came up, and {hero} slept well.
"What a day!" said {elder}, and {hero} thought so too.
When the stars came out, {hero} was already dreaming.
The day ended with a hug and a song.
In the evening, {hero} drew a picture of it all.
{hero} went to bed tired and happy.
And if you ask {hero} today, {hero.he} will tell you the story again.
Even {elder} said it was a day to remember.
The next morning, {hero} could not wait to go out again.
That evening, {elder} made {hero.his} favorite soup.
{hero} felt warm inside, all the way down to {hero.his} toes.
""".strip()
ALONE = """
On the way, {hero.he} saw @sight.
A [cool|soft|warm] wind moved the leaves, and somewhere a bird was singing.
{hero} hummed a little song to feel better.
{hero.He} stopped once to look at @sight, but not for long.
The path was long, and the sun was warm.
The grass was still wet, and soon {hero.his} feet were wet too.
Near the gate sat @sight. {hero} waved and went on.
{hero.He} counted {hero.his} steps, all the way to a hundred.
It was so quiet that {hero} could hear the leaves move.
""".strip()
TOGETHER = """
"Look!" said {friend}, and pointed at @sight.
{friend} had brought @snack, so they shared it first.
They counted their steps: one, two, three, all the way to a hundred.
They made up a song about @sight and sang it as they went.
On the way, they saw @sight.
A [cool|soft|warm] wind was blowing, and they held on to their hats.
They talked about all kinds of things and laughed a lot.
{friend} knew a short way, past @sight.
For a while they walked without a word and listened to the birds.
""".strip()


def begin_story(teller: Teller) -> None:
    """Deal a cast and a home, and tell the opening."""
    is_animal = teller.chance(0.4)
    gender = teller.deal(["he", "she"])
    other = "she" if gender == "he" else "he"  # so that a pronoun is never in doubt
    hero = make_actor(teller, is_animal, gender)
    friend = replace(make_actor(teller, is_animal, other, avoid=hero.kind), mark=MARK)
    elder_name, elder_gender = teller.deal(list((ANIMAL_ELDERS if is_animal else ELDERS).items()), ("elder", is_animal))
    elder = Actor(name=elder_name, kind="elder", gender=elder_gender)
    intro = f"{friend.name} the {friend.kind}" if is_animal else f"{hero.his} friend {friend.name}"
    teller.begin({"hero": hero, "friend": friend, "elder": elder}, WORDS, friend_intro=intro)
    home = teller.deal(ANIMAL_HOMES if is_animal else HOMES)
    teller.fix(
        home=home,
        hobby=teller.deal(HOBBIES),
        buddy=friend.name,
        world="animals" if is_animal else "children",
    )
    is_general = teller.chance(len(GENERAL.splitlines()) / (len(GENERAL.splitlines()) + len(SPECIFIC.splitlines())))
    teller.tell(GENERAL if is_general else SPECIFIC)
    teller.fix(when="@general" if is_general else "@later")


def make_actor(teller: Teller, is_animal: bool, gender: str, avoid: str = "") -> Actor:
    """Deal a name, a trait and, for an animal, a kind other than ``avoid``."""
    if not is_animal:
        name = teller.deal(BOYS if gender == "he" else GIRLS)
        return Actor(name=name, kind="boy" if gender == "he" else "girl", gender=gender, trait=teller.deal(TRAITS))
    name = teller.deal(HE_ANIMALS if gender == "he" else SHE_ANIMALS)
    kind = teller.deal([kind for kind in KINDS if kind != avoid], ("kind", avoid))
    return Actor(name=name, kind=kind, gender=gender, trait=teller.deal(TRAITS), hand="paw")
