"""The plots of the workshop's stories: what can happen, beat by beat. How they are told: :mod:`.teller`."""

# ruff: noqa: E501  (a sentence and its alternatives stay on one line)
from collections.abc import Callable

from gemini_workshop.data.storytelling.cast import ALONE, CLOSINGS, TOGETHER, make_actor
from gemini_workshop.data.storytelling.facts import (
    ATTEMPTS,
    BABIES,
    BREAKABLES,
    CONTESTS,
    DUTIES,
    ERRANDS,
    FEARS,
    GAMES,
    GIFTS,
    GUEST_TRAITS,
    GUESTS,
    LOSSES,
    NOISES,
    PLANTS,
    PRETENDS,
    RESCUERS,
    SHARED,
    SHELTERS,
    SKILLS,
    SMALL_THINGS,
    STUCK,
    WARNINGS,
    WEATHERS,
)
from gemini_workshop.data.storytelling.teller import Actor, Teller

Plot = Callable[[Teller], None]


def lost(teller: Teller) -> None:
    """A favorite thing is gone; thinking back leads to it."""
    teller.fix(thing=teller.deal(SMALL_THINGS))
    teller.fix(**teller.deal(LOSSES))
    teller.tell("""
    {hero.His} favorite thing in the world was a @color {thing}.
    {hero} had a @color {thing} that {hero.he} took everywhere.
    {elder} had given {hero.him} a @nice {thing}, and {hero.he} [loved it|took good care of it].
    There was one thing {hero.he} loved most: a @color {thing} [from {elder}|with tiny stars on it].
    For {hero.his} birthday, {elder} had made {hero.him} a @nice {thing}.
    {hero} owned many things, but the {thing} was the best of all.
    """)
    teller.tell("""
    {when}, the {thing} was gone.
    {when}, {hero} looked for the {thing}, but it was not in its place.
    {when}, {hero} reached for the {thing} and found nothing.
    {when}, {hero} wanted to show the {thing} to {friend}. Where was it?
    {when}, {hero} put a {hero.hand} into the box where the {thing} always was. The box was empty!
    {when}, {hero} noticed something terrible. The {thing} was missing!
    """)
    teller.paragraph()
    teller.tell("""
    {hero.He} @look [under the bed|behind the door] and [on every shelf|in the cupboard], but it was not there.
    First {hero.he} @look in the kitchen. Then {hero.he} @look on the stairs. [No {thing}.|Nothing at all.]
    {hero} turned every cushion over. There was [a lost button|an old sock|half a cookie], but no {thing}.
    {hero.He} @look high and low. {hero.He} even @look in the [bread box|flower pot|tea pot].
    Was it under the rug? No. Was it behind the clock? No.
    {hero.He} emptied all the drawers and made a big mess, but the {thing} did not turn up.
    """)
    teller.tell(
        """
    {hero} sat down and felt @sad.
    A tear rolled down {hero.his} nose.
    <hero sad: It is gone forever.>
    {hero} wanted to cry.
    <hero~ sad: I will never see it again.>
    {hero.His} heart felt [heavy|empty].
    """,
        0.8,
    )
    teller.tell("""
    Just then {friend} came by. <friend ask: What is the matter?> <hero sad: I have lost my {thing}.>
    <friend ask: Why do you look so sad?> <hero reply: My {thing} is gone. I looked everywhere.>
    {friend} saw {hero.his} face. <friend ask: What happened?> <hero reply: I cannot find my {thing}.>
    <hero ask: Have you seen my {thing}?> {friend} shook {friend.his} head. <friend reply: No, but I will help you.>
    {friend} sat down beside {hero.him}. <hero sad: My {thing} is lost.> <friend soft: Then we will find it together.>
    <hero ask: Did you take my {thing}?> <friend reply: No, I did not. I would never do that.>
    """)
    teller.paragraph()
    teller.tell("""
    <friend ask: When did you have it last?> {hero} thought hard. <hero reply: Yesterday, when {memory}.>
    <friend soft: Close your eyes and think back. Where were you yesterday?> <hero reply: {Memory}!>
    <friend ask: What did you do yesterday?> {hero} rubbed {hero.his} nose. <hero reply: Well, {memory}.>
    <friend soft: Do not worry. Think about yesterday.> {hero} did. <hero glad: I know! {Memory}.>
    <friend ask: Where did you play last?> <hero reply: Let me see. {Memory}.> <friend say: Then let us look there.>
    Then {hero} remembered something. <hero~ say: Yesterday, {memory}. Maybe I left it there.>
    """)
    teller.tell("""
    Off they went [at once|together|as fast as they could].
    They ran there [side by side|without stopping].
    {hero} took {friend} by the {hero.hand}, and they @walk there.
    They did not wait a moment.
    So they put on their shoes and went to see.
    """)
    teller.tell(TOGETHER, 0.4)
    teller.tell("""
    And there, {spot}, lay the {thing}!
    {friend} saw it first. The {thing} was {spot}!
    {hero} looked {spot}, and there it was.
    Something [small and bright|with a bit of dust on it] lay {spot}. It was the {thing}!
    They looked left and right. At last {hero} found the {thing} {spot}.
    <friend glad: I see it!> The {thing} was {spot}, just as [good|fine] as before.
    """)
    teller.paragraph()
    teller.tell("""
    <hero glad: Thank you for helping me think!> From that day on, {hero} always put the {thing} back in its place.
    {hero} hugged {friend}. <hero~ say: Two heads are better than one.>
    {hero} held the {thing} tight. <hero~ glad: I will never leave you alone again!>
    <friend say: Next time, look with your head first and your feet second.> {hero} laughed and promised to do so.
    {hero} was so happy that {hero.he} let {friend} [hold|carry] the {thing} all the way home.
    <friend say: Things do not run away. They wait for us.> {hero} thought that was a very wise thing to say.
    """)


def sharing(teller: Teller) -> None:
    """Two want the same thing, until they find a way for two."""
    teller.fix(**teller.deal(SHARED))
    teller.tell("""
    {when}, {hero} and {friend} found {a_thing} [behind the barn|in the attic|in the yard].
    {when}, {elder} brought home {a_thing}. {hero} and {friend} came running.
    {when}, {hero} and {friend} were playing when they both saw {a_thing}.
    {when}, there was {a_thing} [in front of the house|by the fence]. {hero} saw it, and so did {friend}.
    {when}, {friend} came over to play. {elder} had [put out|found] {a_thing} for them.
    {when}, {hero} and {friend} went to {elder}'s shed. Inside was {a_thing}.
    """)
    teller.tell("""
    <hero loud: I saw it first!> <friend loud: No, I did!>
    Both of them wanted {the_thing}. <hero loud: It is my turn!> <friend loud: No, mine!>
    {hero} grabbed {the_thing}. {friend} grabbed it too. They pulled and pulled.
    <friend ask: May I go first?> <hero loud: No! I want to go first!>
    {hero} held {the_thing} with both {hero.hand}s. <hero loud: Mine!> {friend} frowned and stamped {friend.his} foot.
    <hero loud: I want it now!> <friend loud: That is not fair!>
    """)
    teller.tell("""
    They argued until their faces were red.
    Soon both of them were shouting.
    {friend} turned away and would not talk anymore.
    Nobody was having any fun.
    {friend} began to cry, and {hero} felt bad in {hero.his} belly.
    They sat down, back to back, and said nothing for a long time.
    """)
    teller.paragraph()
    teller.tell("""
    {elder} heard the noise. <elder ask: What is wrong here?> They both told what had happened.
    {elder} came and sat down between them. <elder soft: One thing and two friends. What can we do?>
    After a while, {hero} looked at {friend}. {friend.He} looked so sad that {hero} stopped being angry.
    <elder soft: If you pull like that, it will break. Then nobody will have it.>
    An old [goose|dog] watched them and seemed to shake its head. {hero} had to laugh, and then {friend} laughed too.
    {hero} thought about it. {The_thing} was not much fun without a friend.
    """)
    teller.tell("""
    Then {hero} had an idea. <hero~ say: {Idea}>
    <friend ask: What if we both use it?> {hero} thought for a moment. <hero glad: I know! {Idea}>
    {hero} took a deep breath. <hero~ soft: I am sorry. {Idea}>
    <friend say: Listen. {Idea}> {hero} nodded slowly.
    <hero ask: Do you want to try something? {Idea}>
    They thought and thought. At last {friend} jumped up. <friend glad: {Idea}>
    """)
    teller.paragraph()
    teller.tell("""
    And that is what they did. {Result}
    It worked! {Result}
    They tried it right away. {Result}
    {Result} It was [even better than before|twice as much fun].
    So they did it that way all afternoon. {Result}
    {elder} watched from the window and smiled. {Result}
    """)
    teller.tell("""
    <friend glad: This is the best day!> <hero glad: It is more fun with two!>
    {hero} learned that sharing makes a small thing bigger.
    <hero say: I am glad you are here.> <friend reply: Me too.>
    After that, whenever they both wanted something, they [took turns|looked for a way for two].
    When it got dark, they carried {the_thing} home together.
    <elder say: You two are very clever.> They both felt @proud.
    """)


def broken(teller: Teller) -> None:
    """Something breaks; telling the truth is hard, and turns out well."""
    teller.fix(**teller.deal(BREAKABLES))
    teller.tell("""
    {elder} had {a_thing} that {elder.he} loved [very much|dearly].
    On the table stood {a_thing}. It belonged to {elder}.
    In {elder}'s room there was {a_thing}. [It was very old.|Nobody was allowed to play near it.]
    <elder say: Please do not run in the house.> But {hero} liked to run.
    {elder}'s most precious thing was {a_thing}.
    """)
    teller.tell("""
    {when}, {hero} was {doing} inside. Bump! {The_thing} fell and {broke}.
    {when}, {hero} was {doing} and did not look. Crash! {The_thing} {broke}.
    {when}, {hero} was {doing} too close to it. It shook, it fell, and it {broke}.
    {when}, while {hero.he} was {doing}, {hero.his} elbow hit {the_thing}. It {broke}.
    {when}, {hero} forgot the rule. {hero.He} was {doing} when {the_thing} fell down and {broke}.
    """)
    teller.paragraph()
    teller.tell("""
    {hero} stood very still. {hero.His} heart was beating fast.
    <hero~ sad: Oh no! What have I done?>
    For a moment it was very quiet in the house.
    {hero.His} face turned hot, and {hero.his} ears did too.
    <hero sad: Oh no, oh no!>
    {hero} looked around. Nobody had seen it.
    """)
    teller.tell("""
    First {hero.he} [hid|pushed] the pieces [behind the sofa|under a cushion|into a box]. But then {hero.he} felt even worse.
    {hero.He} thought about saying that the [cat|wind] had done it. But that would be a lie.
    {friend} looked in at the window. <friend say: You could hide it.> {hero} shook {hero.his} head. <hero reply: No. I have to tell.>
    {hero.He} wanted to run away and hide in {hero.his} bed.
    <friend soft: Tell the truth. It is hard, but it gets better after that.> {hero} knew that {friend} was right.
    {hero.He} sat next to the pieces and thought for a long time.
    """)
    teller.tell("""
    When {elder} came home, {hero} took a deep breath. <hero~ sad: I broke {the_thing}. I am sorry.>
    {hero} went to {elder} with small steps. <hero sad: Something bad happened. I was {doing}, and now {the_thing} is broken.>
    {elder} came in. Before anyone could ask, {hero} said it. <hero sad: It was me. I broke it.>
    At last {hero.he} told {elder} everything, from the first word to the last.
    <hero ask: Will you be angry if I tell you something?> Then {hero.he} showed {elder} the pieces.
    """)
    teller.paragraph()
    teller.tell("""
    {elder} was quiet for a moment. <elder soft: I am sad about it. But I am glad that you told me the truth.>
    {elder} looked at the pieces and then at {hero}. <elder soft: It was brave to tell me.>
    <elder reply: Thank you for being honest. That is worth more than {a_thing}.>
    {elder} did not shout. <elder soft: Are you hurt? No? Then it is not so bad.>
    {elder} gave {hero.him} a hug. <elder soft: Everyone breaks something one day. I did too.>
    """)
    teller.tell("""
    Together they {mended}.
    <hero ask: Can I help to mend it?> <elder reply: Yes, you can.> So they {mended}.
    <elder say: Come, let us see what we can do.> They sat down at the table and {mended}.
    {hero} fetched what they needed, and the two of them {mended}.
    After supper, {hero} and {elder} {mended}.
    """)
    teller.tell("""
    It did not look the same, but {elder} liked it even more.
    You could still see where it had been broken. <elder say: Now it has a story.>
    {hero} felt light again, like a bird.
    And from then on, {hero} [went outside|chose the yard] when {hero.he} wanted to run and jump.
    {hero} learned that the truth is better than a good hiding place.
    It stands in the same place to this day.
    """)


def afraid(teller: Teller) -> None:
    """A fear, looked at closely, gets smaller."""
    teller.fix(**teller.deal(FEARS))
    teller.tell("""
    There was only one thing that {hero} was afraid of: {fear}.
    {hero} was not afraid of [storms|cold water]. But {hero.he} was afraid of {fear}.
    But {hero} had a secret. {hero.He} was [afraid|scared] of {fear}.
    Nobody knew that {hero} was afraid of {fear}.
    {friend} was afraid of nothing. {hero} was not like that. {hero.He} was afraid of {fear}.
    {hero} often felt brave, but never when it came to {fear}.
    """)
    teller.tell("""
    {when}, {scene}.
    {when}, it happened. {Scene}.
    {when}, when nobody was thinking of anything bad, {scene}.
    {when}, {hero} was not thinking of anything bad. Then {scene}.
    """)
    teller.tell("""
    {hero.His} knees shook.
    {hero} wanted to run away.
    {hero.He} closed {hero.his} eyes and held {hero.his} breath.
    {hero.His} heart went boom, boom, boom.
    <hero sad: I cannot do it.>
    {hero} hid behind {elder}.
    A cold feeling ran down {hero.his} back.
    """)
    teller.paragraph()
    teller.tell("""
    <elder ask: Are you @scared?> {hero} nodded. <elder soft: That is all right. {Advice}>
    {elder} took {hero.his} {hero.hand}. <elder soft: Even big ones are afraid sometimes. {Advice}>
    <friend ask: Shall I tell you what I do? {Advice}>
    {friend} did not laugh. <friend soft: I was afraid of that too. {Advice}>
    <hero~ sad: I wish I were brave.> <elder reply: Brave means to be afraid and to try anyway. {Advice}>
    {elder} sat down next to {hero}. <elder soft: Let me tell you a secret. {Advice}>
    """)
    teller.tell("""
    {hero} was not sure. But {hero.he} wanted to try.
    {hero} took a deep breath, and then another one.
    <hero ask: Will you stay with me?> <elder reply: Of course I will.>
    {hero.He} counted to three. One. Two. Three!
    Slowly, {hero} let go of {elder}'s {hero.hand}.
    It took all the courage {hero.he} had.
    """)
    teller.paragraph()
    teller.tell("""
    {Deed}. {Finding}.
    Then {deed}. And what do you think? {Finding}.
    With {elder} beside {hero.him}, {deed}. {Finding}.
    At first it was hard. But {deed}, and {finding}.
    {Deed}. To {hero.his} surprise, {finding}.
    """)
    teller.tell("""
    <hero glad: I did it!> {elder} clapped and cheered.
    <hero glad: It is not so bad at all!>
    {hero} began to laugh, and {hero.his} fear grew smaller and smaller.
    <elder say: I am so proud of you.> {hero} felt as tall as a tree.
    <friend glad: You are the bravest {hero.kind} I know!>
    {hero} wanted to do it again right away.
    """)
    teller.tell("""
    After that day, {hero} was still a little afraid sometimes. But {hero.he} knew what to do.
    Now, when somebody smaller is afraid, {hero} tells them what helped.
    Fear is like a shadow, {hero} thought. It gets small when you walk up to it.
    {hero} was never so afraid of {fear} again.
    """)


def little_one(teller: Teller) -> None:
    """A baby animal is lost; a clue shows the way to its mother."""
    teller.fix(**teller.deal(BABIES))
    teller.tell("""
    {when}, {hero} heard a tiny sound near {where}. It was {a_baby}!
    {when}, {hero} and {friend} found {a_baby} near {where}.
    {when}, {hero} @walk past {where} and almost stepped on {a_baby}.
    {when}, {a_baby} sat near {where}, all alone.
    {when}, something moved near {where}. {hero} went closer. It was {a_baby}.
    {when}, {a_baby} came up to {hero} near {where} and would not go away.
    """)
    teller.tell("""
    It was [shaking|cold|hungry] and looked very sad.
    It looked up at {hero} with big, round eyes.
    <hero ask: Where is your mother?> The {baby} only made a small, sad sound.
    <hero ask: Are you lost, little one?> The {baby} came closer and leaned on {hero.his} foot.
    <hero soft: Do not be afraid. I will not hurt you.>
    It cried and cried. {hero} had never heard such a small voice.
    """)
    teller.paragraph()
    teller.tell("""
    {hero} wanted to keep it. But {hero.he} knew that its mother would be worried.
    <friend ask: Can we keep it?> {hero} shook {hero.his} head. <hero reply: It needs its mother.>
    <hero say: I will help you find your home.>
    {hero} thought of {elder}. How would it feel to be so far from home?
    <elder say: It is too small to be alone. We must find its mother before dark.>
    {hero} gave it a little [water|grass to lie on] and thought about what to do.
    """)
    teller.tell("""
    Then {hero.he} saw something: {clue}. <hero glad: That must be the way!>
    But which way? {hero} @look around and noticed {clue}.
    {friend} pointed at the ground. <friend say: Look there! I see {clue}.>
    {hero} @look for a sign, and soon {hero.he} found one: {clue}.
    <hero ask: What is that?> It was {clue}. Now they knew which way to go.
    """)
    teller.tell("""
    {hero} picked the {baby} up and held it close.
    Slowly they went on, so that the little {baby} could keep up.
    {hero} wrapped the {baby} in {hero.his} scarf.
    The {baby} followed {hero} step by step.
    {hero} carried it very carefully.
    """)
    teller.tell(ALONE, 0.4)
    teller.tell(
        """
    They @walk past the [mill|old wall|big rock] and over the [bridge|hill|stones].
    It was a long way, but {hero} did not give up.
    Twice they took the wrong path. The third one was right.
    <hero soft: Not far now.>
    When the {baby} got tired, {hero} told it a story.
    """,
        0.7,
    )
    teller.paragraph()
    teller.tell("""
    At last they came to {home_place}. A loud cry came from there. It was the mother!
    And then they saw {home_place}. The mother was there, calling and calling.
    Behind the bushes was {home_place}. The mother came running.
    Suddenly the {baby} made a happy sound. There was {home_place}, and there was its mother!
    They reached {home_place} just before sunset. <friend glad: There is the mother!>
    """)
    teller.tell("""
    The {baby} hurried to her as fast as it could.
    The {baby} gave a happy jump and went to her.
    The mother touched her baby's head again and again.
    Mother and baby sat close together, and both were quiet.
    The mother looked at {hero} for a long time, as if to say thank you.
    """)
    teller.tell("""
    {hero} was a little sad to say goodbye, but more happy than sad.
    <hero say: Goodbye, little {baby}! Stay close to your mother.>
    After that, {hero} often went back there to visit. The {baby} always knew {hero.him}.
    <elder say: You were a good friend today.>
    {hero} @walk home with a warm feeling in {hero.his} heart.
    In spring the {baby} was big, but it still remembered {hero}.
    """)


def gift(teller: Teller) -> None:
    """A present needs one thing more, and that has to be earned."""
    teller.fix(**teller.deal(GIFTS))
    teller.fix(**teller.deal(ERRANDS))
    teller.tell("""
    {when}, {hero} remembered that it was {elder}'s birthday [tomorrow|the next day].
    {when}, {hero} wanted to give {elder} a surprise.
    {when}, {elder} was ill and had to stay in bed. {hero} wanted to cheer {elder.him} up.
    {when}, {hero} thought about how much {elder} did for {hero.him}. {hero.He} wanted to say thank you.
    {when}, it was {elder}'s birthday, and {hero} had no present yet.
    """)
    teller.tell("""
    <hero say: I will make {a_gift}!>
    {hero.He} decided to make {a_gift}.
    <friend ask: What does {elder.he} like?> <hero reply: I think {elder.he} would like {a_gift}.>
    {hero.He} had no money, but {hero.he} knew how to make {a_gift}.
    What could it be? {hero} thought of {a_gift}.
    """)
    teller.tell("""
    {hero} got everything ready. But one thing was missing: {part}.
    {hero} opened the cupboard. There was everything but {part}.
    <hero sad: Oh no! I have no {bare_part}.>
    It went well until {hero} needed {part}. There was none in the house.
    Halfway through, {hero.he} stopped. Where could {hero.he} get {part}?
    """)
    teller.paragraph()
    teller.tell(
        """
    So {hero.he} @walk to see {helper}.
    {hero} put on {hero.his} [hat|scarf|coat] and went to {helper}.
    <friend say: Ask {helper}.> So {hero} set out.
    {hero.He} knew who might help: {helper}.
    Who could help? <elder say: Go and see {helper}.>
    {hero.He} thought of {helper} and set out at once.
    Maybe {helper} had some. {hero} went to ask.
    """
    )
    teller.tell(ALONE, 0.35)
    teller.tell("""
    <hero ask: Do you have {part} for me?>
    <hero ask: Could you give me {part}, please?>
    {hero} knocked at the door and asked for {part}.
    <hero say: Good day. I am looking for {part}.>
    {hero} said hello and told {helper} about the surprise. <hero~ ask: Do you have {part}?>
    """)
    teller.tell("""
    <helper reply: I have some left. But first, can you help me? {Need}>
    <helper say: Gladly. {Need} If you help me, you may have all you want.>
    <helper reply: I have plenty. But look! {Need}>
    {Helper} looked [tired|worried]. <helper reply: I would like to help you, but {need}>
    """)
    teller.tell("""
    <hero glad: I can do that!> So {hero} {work}.
    {hero} did not mind. {hero.He} {work}, and the work was soon done.
    {hero} rolled up {hero.his} sleeves and {work}. It took a long time, but {hero.he} did not stop.
    Of course {hero.he} helped. {hero.He} {work}, and was not even tired.
    """)
    teller.tell("""
    <helper say: Well done! Here is {part}.>
    {Helper} was @very pleased and gave {hero.him} {part}.
    <helper say: Thank you! You have earned it.> {hero} got {part}, and a sweet bun too.
    "Here you are," said {helper}, and handed {hero.him} {part}.
    """)
    teller.paragraph()
    teller.tell("""
    {hero} ran home and finished {the_gift}.
    Back at home, {hero} worked [all evening|with great care]. At last {the_gift} was ready.
    {hero} hurried home. Soon {the_gift} was done.
    At home, {hero} closed the door and did not let anyone in until {the_gift} was finished.
    """)
    teller.tell("""
    <elder glad: For me? What a @nice surprise!>
    When {elder} saw it, {elder.he} could not say a word. Then {elder.he} hugged {hero} [tight|for a long time].
    {elder} smiled from ear to ear. <elder ask: Did you make this all by yourself?> <hero reply: Almost.>
    <hero say: This is for you.> {elder}'s eyes were shining.
    <elder soft: This is the best present I ever had.>
    """)
    teller.tell(
        """
    {hero} learned that a gift is best when it takes a little work.
    {hero} told {elder} about {helper}, and they [laughed|smiled] together.
    <elder say: You made it with love. I can tell.>
    The next day, they brought {helper} a piece of cake to say thank you.
    """,
        0.8,
    )


def newcomer(teller: Teller) -> None:
    """Somebody new is shy; a game needs one more."""
    names = teller.cast["hero"], teller.cast["friend"]
    other = _stranger(teller, {actor.name for actor in names})
    teller.cast["other"] = other
    teller.fix(**teller.deal(GAMES))
    teller.tell("""
    {when}, a new family moved in [across the road|next to the mill|behind the hill]. They had a {other.kind} of {hero}'s age.
    {when}, {hero} saw a {other.kind} [by the fence|under a tree|on the steps]. It was somebody new.
    {when}, there was a new {other.kind} at school.
    {when}, {hero} and {friend} were {playing}. A new {other.kind} stood by the fence and watched them.
    {when}, while {hero} and {friend} were {playing}, they noticed a {other.kind} they did not know.
    """)
    teller.tell("""
    {other.He} looked at the ground and did not say a word.
    The new {other.kind} stood all alone and [played with a button|held a small bag|drew lines in the sand].
    The {other.kind} was @very shy.
    Nobody talked to {other.him}.
    Whenever somebody looked, the {other.kind} turned away.
    """)
    teller.paragraph()
    teller.tell("""
    <friend ask: Why does {other.he} not come over?> <hero reply: Maybe {other.he} is waiting for us to ask.>
    {hero} remembered how it feels to be new. So {hero.he} went over.
    <friend say: I do not think {other.he} likes us.> <hero reply: We will not know if we never ask.>
    <elder soft: It is hard to be new. A kind word helps.> {hero} understood.
    {hero} thought the new {other.kind} looked lonely. That made {hero.him} feel lonely too.
    """)
    teller.tell("""
    <hero ask: Hello! I am {hero}. What is your name?> "{other}," was the answer. <hero ask: Do you want to play with us, {other}?>
    <hero say: We are {playing}, and we need one more. What is your name?> "I am {other}," said the {other.kind}.
    <hero ask: What is your name?> "{other}," came the answer, very softly. <hero say: Then come and play with us, {other}.>
    {hero} held out a {hero.hand}. <hero~ say: I am {hero}. Come and play with us.> The {other.kind} took it. "And I am {other}."
    <hero soft: You can sit with me, if you like. I am {hero}.> The {other.kind} looked up for the first time. "I am {other}."
    """)
    teller.tell("""
    <other low: I do not know how.> <friend reply: We will show you. It is easy.>
    <other ask: May I really?> <hero glad: Of course!>
    {other} nodded, and a small smile came to {other.his} face.
    <other low: I am not very good at it.> <hero reply: That does not matter at all.>
    {other} said nothing. But {other.he} took one step closer, and then another.
    """)
    teller.paragraph()
    teller.tell("""
    Soon the three of them were {playing}. Then something went wrong: {trouble}.
    {playing_cap} was even more fun with three. But suddenly {trouble}.
    At first {other} was quiet, but soon all three were {playing} and laughing. Then {trouble}.
    So they went on {playing}, until {trouble}. <friend sad: Oh no! What now?>
    """)
    teller.tell("""
    <other say: I can help!> {Skill}.
    {other} was not shy anymore. {Skill}.
    Nobody knew what to do, but {other} did. {Skill}.
    <other low: Let me try.> {Skill}.
    """)
    teller.tell("""
    <friend glad: Hurray for {other}!> They all cheered.
    <hero glad: That was amazing! How did you do that?> {other} turned red and smiled.
    <hero say: We are lucky that you came.>
    {hero} and {friend} clapped, and {other} took a little bow.
    <friend say: I was wrong about you.> <other reply: That is all right.>
    """)
    teller.tell("""
    Now there were not two friends, but three.
    From that day on, nobody saw {other} standing alone.
    <other ask: Can I come back tomorrow?> <hero glad: Tomorrow and every day!>
    {hero} was glad that {hero.he} had said hello. It was such a small word.
    The next time somebody new came, it was {other} who said hello first.
    """)


def practice(teller: Teller) -> None:
    """Something is hard until it has been tried often enough."""
    teller.fix(**teller.deal(SKILLS))
    teller.tell("""
    More than anything, {hero} wanted to {skill}.
    {friend} could {skill}. {hero} could not.
    {when}, {hero} saw {friend} {doing}. <hero glad: I want to do that too!>
    Everyone in the family could {skill}, but not {hero}.
    {hero} had a big dream. {hero.He} wanted to {skill}.
    {when}, {elder} showed {hero} how to {skill}. It looked easy.
    """)
    teller.tell("""
    The first time {hero.he} tried, {fail}.
    {hero.He} tried it once, and {fail}.
    {hero} was sure it would be easy. But {fail}.
    {hero.He} went outside and tried. Oh dear! {Fail}.
    So {hero.he} tried and tried. Again and again, {fail}.
    """)
    teller.tell("""
    <hero sad: I will never learn it!>
    [A crow|A goose|Somebody] laughed, and {hero} turned red.
    <hero sad: It is too hard for me.>
    {hero} kicked a stone and went to sit under a tree.
    {hero} felt @sad and wanted to give up.
    <hero~ sad: This is stupid. I do not want to do it anymore.> But that was not true.
    """)
    teller.paragraph()
    teller.tell("""
    <elder soft: Nobody can do it on the first day. {Tip}>
    {friend} sat down next to {hero.him}. <friend soft: I fell a hundred times before I could do it. {Tip}>
    <elder ask: Do you know what helps? {Tip}>
    <friend say: Watch me. {Tip}> {hero} watched very closely.
    <hero ask: How did you learn it?> <friend reply: A little every day. {Tip}>
    """)
    teller.tell("""
    So {hero} practiced on Monday. {hero.He} practiced on Tuesday. By Friday, it was a little better.
    {hero} tried again, and then again. Each time it went a little better.
    Every day after [breakfast|lunch|school], {hero} practiced.
    {hero} thought about that. Then {hero.he} stood up and tried once more.
    For a whole week, {hero} practiced until the sun went down.
    It was not easy. But {hero} did not stop.
    """)
    teller.tell(
        """
    Some days it rained, and {hero.he} practiced anyway.
    {friend} came to watch and clapped each time.
    {hero.He} got a bump on {hero.his} knee, but {hero.he} only laughed.
    <friend glad: Almost! Do it again!>
    {elder} put a star on the wall for every day {hero.he} tried.
    """,
        0.6,
    )
    teller.paragraph()
    teller.tell("""
    And then it happened. {Success}!
    One morning, {success}. {hero} could hardly believe it.
    On the last try, everything was different. {Success}.
    {hero} did just what {hero.he} had learned, and {success}.
    Suddenly, without thinking, {hero} did it right. {Success}!
    """)
    teller.tell("""
    <hero glad: I can do it! I can do it!>
    <friend glad: Hurray! I knew you could!>
    {elder} lifted {hero} high into the air.
    {hero} laughed so loudly that [all the birds flew up|everybody came to look].
    <elder say: You worked for this. Be proud of yourself.>
    """)
    teller.tell("""
    The next week, {hero} showed a smaller {hero.kind} how to {skill}. <hero say: A little every day.>
    {hero} knew now that hard things get easy if you do not give up.
    And what did {hero} want to learn next? To [stand on one foot|fly], of course!
    Now {hero} and {friend} do it together all the time.
    <hero say: It was not the first try that did it. It was all of them.>
    """)


def warned(teller: Teller) -> None:
    """A warning is not heeded; help is needed, and a lesson is learned."""
    teller.fix(**teller.deal(WARNINGS))
    teller.tell("""
    {when}, {elder} had to go out. <elder firm: {Warning}> <hero reply: I promise.>
    {when}, {hero} went out to play. <elder firm: {Warning}>
    {when}, {elder} looked at {hero} with a serious face. <elder firm: {Warning}>
    {when}, {hero} and {friend} were playing. <friend firm: {Warning} That is what {elder} said.>
    <elder firm: {Warning}> {elder} had said it many times.
    """)
    teller.tell("""
    But {hero} kept thinking about it. {Temptation}.
    For a while, {hero} was good. But {temptation}.
    {hero} meant to listen. But then {hero.he} saw that {temptation}.
    {friend} went home, and {hero} was alone. {Temptation}.
    It was hard. {Temptation}.
    """)
    teller.tell("""
    <hero~ say: Just a little. Nobody will know.>
    <hero ask: What could go wrong?>
    {hero.He} looked left. {hero.He} looked right. Nobody was there.
    <friend loud: You should not do that!> But {hero} did not listen.
    <hero~ low: Only this once.>
    """)
    teller.paragraph()
    teller.tell("""
    So {hero} {deed}. {Trouble}!
    {hero} {deed}. At first it was fun. Then {trouble}.
    Very quietly, {hero} {deed}. And what happened? {Trouble}.
    {hero} {deed}, and it felt wonderful. But not for long. {Trouble}.
    """)
    teller.tell("""
    <hero loud: Help! Help!>
    {hero} began to cry.
    Now {hero} was sorry. If only {hero.he} had listened!
    <hero sad: I want to go home!>
    {hero.He} did not know what to do.
    <hero loud: {elder}! {elder}!>
    """)
    teller.paragraph()
    teller.tell("""
    {elder} heard {hero.him} and came running. {Rescue}.
    {friend} had seen it all and ran to get {elder}. {Rescue}.
    Luckily, {elder} was not far away. {Rescue}.
    It felt like a long, long time. Then {elder} came. {Rescue}.
    """)
    teller.tell("""
    <hero sad: I am so sorry. I should have listened.>
    <elder ask: Do you know now why I said it?> {hero} nodded. <hero reply: You wanted to keep me safe.>
    {hero} hid {hero.his} face. <hero sad: You were right.>
    <elder soft: I was worried about you.> {hero} held {elder} tight and said sorry.
    {elder} was not angry for long. <elder soft: I am just glad that you are safe.>
    """)
    teller.tell("""
    After that, {hero} asked first and tried later.
    {hero} never did it again.
    <hero say: Next time, I will listen.> And {hero.he} did.
    The next day, {hero} told {friend} all about it, so that {friend.he} would not make the same mistake.
    A rule is not there to spoil the fun, {hero} thought. It is there to keep us safe.
    Since then, {hero} keeps {hero.his} promises.
    """)


def noise(teller: Teller) -> None:
    """A strange noise has a cause that nobody expected."""
    teller.fix(**teller.deal(NOISES))
    teller.tell("""
    {when}, {hero} heard a strange noise. {Sound}! It came from {source}.
    {when}, there was a noise. {Sound}! {Sound}! <hero ask: What was that?>
    {when}, {hero} was [playing|reading|drawing] quietly when a noise came from {source}. {Sound}!
    {when}, {friend} came running. <friend loud: Something is in {source}! It goes {sound}!>
    {when}, everything was quiet. Then, {sound}! It came from {source}.
    """)
    teller.tell("""
    <hero ask: Is it a [monster|dragon]?> {hero.He} shivered.
    {hero} felt @scared, but {hero.he} was curious too.
    <friend ask: What if it is a [bear in there|giant]?> <hero reply: There is no such thing here.>
    They held their breath and listened. {Sound}! There it was again.
    {hero.His} ears [stood up|got hot]. Who could it be?
    """)
    teller.tell("""
    {friend} wanted to run away. But {hero} wanted to know.
    <hero say: Let us go and look.> <friend low: You go first.>
    <hero firm: I am not afraid.> But {hero.he} took {friend} along, to be sure.
    {hero} and {friend} took a [lamp|stick|pot and a spoon] and went on tiptoe.
    {hero} called {friend}, because two are braver than one.
    """)
    teller.paragraph()
    teller.tell("""
    Step by step, they went closer to {source}. {Sound}!
    They crept closer and closer. The noise got louder. {Sound}!
    Slowly {hero} put one foot in front of the other. {friend} held on to {hero.his} sleeve.
    It was dark there, and something smelled of [dust|hay|apples].
    The door made a long creak. {friend} jumped, and then giggled.
    """)
    teller.tell("""
    {hero} took a deep breath and looked. It was {cause}!
    <hero ask: Who is there?> Nobody answered. Then they saw it: {cause}.
    {hero} lifted the lamp. And there was {cause}!
    One, two, three! They looked. It was only {cause}.
    {hero} looked first. "Oh!" {hero.he} said. "It is {cause}!"
    """)
    teller.paragraph()
    teller.tell("""
    They looked at each other and laughed until their bellies hurt.
    <friend glad: And we were afraid of that!>
    {friend} was so surprised that {friend.he} sat down on the floor.
    <hero glad: So that is our monster!>
    All the fear was gone in a moment.
    """)
    teller.tell("""
    Then {hero} {action}.
    <hero say: We can help.> So {hero} {action}.
    {hero} knew what to do. {hero.He} {action}.
    Together with {friend}, {hero} {action}.
    """)
    teller.tell("""
    After that it was quiet again.
    {elder} heard about it at supper. <elder say: It is good that you went to look.>
    <hero say: Most scary things are not scary when you look at them.>
    Now, when they hear a noise at night, they only smile and say, "{Sound}!"
    <friend say: Next time, I will go first.> And {friend.he} really did.
    """)


def seed(teller: Teller) -> None:
    """Something grows, but not as fast as one would like."""
    teller.fix(**teller.deal(PLANTS))
    teller.tell("""
    {when}, {elder} gave {hero} a tiny seed. <elder say: Take good care of it.>
    {when}, {hero} found a [small|strange|brown] seed in {hero.his} pocket.
    {when}, {friend} gave {hero} a little bag. There was just one seed in it.
    {when}, {hero} bought a seed at the market for one penny.
    {when}, a bird dropped a seed right in front of {hero}'s feet.
    """)
    teller.tell("""
    {hero} dug a hole, put the seed in, and [covered it with earth|patted the earth flat].
    {hero.He} planted it behind the house, where the sun was warm.
    {hero} filled a pot with earth and pushed the seed in with one {hero.hand}.
    <hero ask: Where should it live?> {hero.He} chose a sunny place near the wall and planted it there.
    <elder say: Not too deep.> {hero} made a small hole and laid the seed in it like a baby in a bed.
    """)
    teller.paragraph()
    teller.tell("""
    {hero.He} sat down and waited. Nothing happened.
    The next morning, {hero} ran to look. There was only brown earth.
    One day passed, and then two, and then three. Nothing came up.
    "Is it up yet?" {hero} asked ten times a day. It was not.
    {hero} lay on {hero.his} belly and stared at the ground. The ground did not move.
    """)
    teller.tell("""
    <hero sad: It is asleep, and it will never wake up.>
    <friend say: Maybe it is a stone.> {hero} was not so sure.
    {hero} wanted to dig it up to see. <elder firm: No! Seeds like to be left alone.>
    {hero} sang to it. {hero.He} told it a story. It did not help.
    <hero sad: I must have done something wrong.>
    """)
    teller.tell("""
    <elder soft: Good things take time. Give it water and wait.>
    <elder ask: How long did it take you to grow? Seeds need time too.>
    <friend soft: My garden was bare at first. You must wait, and water it every day.>
    <elder soft: It is working under the ground, where you cannot see it.>
    """)
    teller.tell("""
    So {hero} gave it water every day. When it was hot, {hero.he} gave it shade.
    Every morning {hero} brought a cup of water and said good morning.
    {hero} watered it and pulled out the weeds. {hero.He} chased the [crows|goats|hens] away.
    {hero} waited. It rained, and the sun shone, and it rained again.
    Days went by, and weeks. {hero} learned to wait.
    """)
    teller.paragraph()
    teller.tell("""
    Then one morning, there was a tiny green [tip|leaf|dot]! <hero glad: It is awake!>
    And at last, something green looked out of the earth. {hero} danced around it.
    One day {friend} came running. <friend loud: Come quickly!> There were two small leaves.
    When {hero} had almost stopped looking, there it was: a little green leaf.
    """)
    teller.tell("""
    It grew and grew. By the end of summer, it was {plant}.
    Each day it was a bit taller. In the end it was {plant}.
    Leaf by leaf it grew, until it was {plant}.
    Nobody could stop it now. It became {plant}.
    """)
    teller.tell("""
    {Harvest}.
    <hero say: Now we can share!> {Harvest}.
    {hero} called everybody together. {Harvest}.
    <friend glad: It was worth the wait!> {Harvest}.
    """)
    teller.tell("""
    {hero} kept one seed in a small box for the next year.
    <elder say: You see? You and the seed did it together.>
    And {hero} planted more seeds, because now {hero.he} knew how to wait.
    {hero} smiled. It had all begun with something as small as a crumb.
    """)


def stuck(teller: Teller) -> None:
    """Something is out of reach; many ideas fail before one works."""
    teller.fix(helper=teller.deal(RESCUERS))
    teller.fix(**teller.deal(STUCK))
    first, second = teller.rng.sample(ATTEMPTS[teller.cast["attempts"]], 2)
    teller.fix(first=first, second=second, a_thing="a [new|@color|big|@nice] {thing}")
    teller.tell("""
    {when}, {hero} and {friend} were playing with {a_thing}. {Mishap}.
    {when}, {hero} took {a_thing} outside and called {friend}. It was great fun, until {mishap}.
    {when}, {hero} and {friend} had {a_thing} and a lot of time. Then {mishap}.
    {when}, {friend} came with {a_thing}. <friend ask: Shall we play?> They played all morning. Then {mishap}.
    {hero} had {a_thing}. {when}, {hero.he} was playing with {friend} when {mishap}.
    """)
    teller.tell("""
    <hero sad: Oh no! My {thing}!>
    {hero} stretched as far as {hero.he} could, but {hero.he} could not reach it.
    <friend say: It is too far away.>
    <hero ask: How do we get it back?>
    There it was, and nobody could get it.
    They both stared at it with open mouths.
    """)
    teller.paragraph()
    teller.tell("""
    First they {first}. It did not work.
    <friend say: I have an idea.> They {first}, but the {thing} did not move.
    They {first}. [No luck.|The {thing} stayed where it was.]
    At first they {first}. That only made them tired.
    """)
    teller.tell("""
    Then they {second}. That did not help either.
    <hero say: Let us try something else.> So they {second}. Still nothing.
    After that they {second}, and it almost worked. But only almost.
    Next they {second}. [A bird|An old cat] watched them and seemed to laugh.
    """)
    teller.tell("""
    <friend sad: We should give up.> <hero reply: Not yet. Let us think.>
    {hero} sat down and put {hero.his} chin in {hero.his} {hero.hand}s.
    {hero} was close to tears.
    The sun was getting low, and they were hungry.
    <friend ask: Do we need a new one?> <hero firm: No! I want this one.>
    """)
    teller.paragraph()
    teller.tell("""
    Just then {helper} came along. <helper ask: Do you need help?>
    They asked {helper}. <helper reply: Let me see what I can do.>
    <hero say: I know who can help us!> They ran to find {helper}.
    {Helper} had watched them for a while. <helper say: You have worked hard. May I try?>
    """)
    teller.tell("""
    {Solution}.
    It was so simple. {Solution}.
    They stood back and watched. {Solution}.
    <friend loud: Be careful!> {Solution}.
    """)
    teller.tell("""
    <hero glad: Thank you, thank you!>
    <hero glad: Hurray! My {thing} is back!>
    <friend glad: Hurray for {helper}!>
    {hero} danced around with the {thing}.
    {Helper} smiled. <helper reply: Two {hero.hand}s are good, but four are better.>
    """)
    teller.tell("""
    After that they played [in the open field|on the meadow], far away from {hazard}.
    <hero say: Next time, I will stay away from {hazard}.>
    They invited {helper} to play with them, and the three of them played until supper.
    {hero} learned that it is fine to ask for help.
    {hero} picked some flowers for {helper}, to say thank you.
    They told {elder} about all the things they had tried, and {elder} laughed out loud.
    """)


def storm(teller: Teller) -> None:
    """Bad weather outside, and one more guest than there is room for."""
    guests = teller.rng.sample(GUESTS, 2)
    traits = teller.rng.sample(GUEST_TRAITS, 2)
    teller.fix(guest=guests[0], a_guest=f"a {traits[0]} {guests[0]}")
    teller.fix(second_guest=guests[1], a_second_guest=f"a {traits[1]} {guests[1]}")
    teller.fix(bare_shelter=teller.deal(SHELTERS), shelter="a {bare_shelter}", weather=teller.deal(WEATHERS))
    teller.tell("""
    {when}, {hero} and {friend} were in the fields when the sky turned dark. <friend say: {Weather} is coming.>
    {when}, {hero} and {friend} were far from home when {weather} began.
    {when}, {hero} felt the first cold drop on {hero.his} nose. <friend loud: {Weather} is on its way!>
    {when}, {hero} was out with {friend} when black clouds came over the hill. It was {weather}.
    {when}, {hero} and {friend} were playing outside when the birds stopped singing. That could only mean {weather}.
    """)
    teller.tell("""
    {hero} and {friend} ran to {shelter}.
    <hero loud: Quick, into that {bare_shelter}!> They ran as fast as they could.
    Just in time, they reached {shelter}.
    There was {shelter} nearby. {hero} pulled {friend} inside.
    """)
    teller.tell("""
    It was small, but it was dry.
    Inside it was dry and almost warm.
    There was just enough room for two.
    They sat close together and listened to the wind.
    {hero} had a blanket and @snack. It was rather nice.
    """)
    teller.paragraph()
    teller.tell("""
    Then somebody [knocked|scratched] at the side. It was {a_guest}, and it was dripping.
    <hero ask: Did you hear that?> Outside stood {a_guest}, without a roof over its head.
    After a while, {a_guest} looked in. Its nose was dripping.
    A small sound came from outside. There sat {a_guest} in the wet grass.
    """)
    teller.tell("""
    <friend say: There is no room.> <hero reply: If we move closer, there is.>
    {hero} did not think twice. <hero say: Come in! We will make room.>
    <friend ask: Will it fit?> <hero reply: Let us try.> They moved to one side.
    {hero} looked at the little space that was left. Then {hero.he} pulled in {hero.his} feet. <hero say: Come in.>
    """)
    teller.tell("""
    Soon {a_second_guest} came too. Now it was really full, but nobody minded.
    Hardly had they sat down when {a_second_guest} came as well. They all moved a little more.
    And who came next? It was {a_second_guest}. There was some pushing and some giggling, but in the end all of them fit.
    Then came {a_second_guest}, shaking with cold. <hero glad: One more is no trouble!>
    """)
    teller.paragraph()
    teller.tell("""
    Outside the wind [howled|cried]. Inside they [told stories|sang songs].
    Because they sat so close, nobody was cold anymore.
    {hero} shared what {hero.he} had. It was only a bite for each, but it tasted wonderful.
    There was a loud bang. Everyone jumped, and then everyone laughed.
    {friend} told a funny story, and they forgot about the weather.
    """)
    teller.tell("""
    At last it was over. The sun came out, and everything was shining.
    After an hour the sky turned blue again. There was a rainbow over the hill!
    Then it was quiet. They stepped out one by one and looked at the clean, fresh world.
    When they looked outside, the clouds were gone.
    """)
    teller.tell("""
    <friend say: With more of us, it was warmer.> <hero reply: And much more fun.>
    {hero} waved to the {guest} and the {second_guest} until they were gone.
    <elder ask: Were you all alone out there?> <hero glad: Not at all!>
    {hero} learned that there is always room for one more.
    The next day, the {guest} came back and brought a [round stone|flower] to say thank you.
    <elder say: A small house is big if your heart is big.>
    """)


def race(teller: Teller) -> None:
    """A contest, in which somebody stops to help."""
    names = teller.cast["hero"], teller.cast["friend"]
    teller.cast["other"] = _stranger(teller, {actor.name for actor in names})
    teller.fix(**teller.deal(CONTESTS))
    teller.tell("""
    {when}, there was {a_contest}. Everybody [came to watch|was excited]. The prize was {a_prize}.
    {when}, {hero} heard of {a_contest}. The prize was {a_prize}.
    {when}, {elder} told {hero} about {a_contest}. <elder say: The first one at {goal} wins {a_prize}.>
    {when}, it was time for {a_contest}. {hero} had been waiting all year and dreamed of the prize, {a_prize}.
    """)
    teller.tell("""
    {other}, a proud {other.kind}, was the fastest of all. <other say: Nobody can beat me.>
    Everyone thought that {other} would win. {other} was a {other.kind} with a loud voice, and {other.he} thought so too.
    <other say: I will win, as always.> {other} was a {other.kind} who liked to talk big.
    A {other.kind} named {other} laughed at {hero}. <other ask: You want to win? You are too slow!>
    """)
    teller.tell("""
    {hero} did not answer. {hero.He} only tied {hero.his} scarf a bit tighter.
    <friend soft: Do not listen to that. Just do your best.>
    <hero reply: We will see.> But {hero.his} belly felt funny.
    {hero} wanted {the_prize} so much.
    """)
    teller.paragraph()
    teller.tell("""
    <elder loud: Ready, steady, go!> {Start}.
    A whistle blew, and off they went. {Start}.
    Three, two, one, go! {Start}.
    <friend loud: Go, {hero}, go!> {Start}.
    """)
    teller.tell("""
    {other} was far ahead of all the others.
    {other} was first, and {hero} was second.
    Soon only {other} and {hero} were in front.
    {hero} was not the fastest, but {hero.he} kept going.
    """)
    teller.tell("""
    Then {other} looked back to laugh and {slip}.
    Halfway there, {other} {slip}.
    But {other} did not watch where {other.he} was going. Suddenly {other.he} {slip}.
    All at once there was a cry. {other} {slip}.
    """)
    teller.paragraph()
    teller.tell("""
    {hero} could have gone past. {Goal} was so close! But {hero.he} stopped.
    Now {hero} could win! But {hero.he} heard {other} crying and turned around.
    For a moment {hero} thought of {the_prize}. Then {hero.he} went to help.
    {hero} looked at {goal}, and then at {other}. {hero.He} did not think long.
    """)
    teller.tell("""
    <hero ask: Are you hurt?> <other sad: My foot! I cannot go on.> {hero} helped {other.him} up.
    <hero say: Hold on to me.> {hero} put an arm around {other.him}.
    <other ask: Why do you help me? I was so mean.> <hero reply: Because you need help.>
    <hero soft: Come, we will do it together.> {other} leaned on {hero.him}.
    """)
    teller.tell("""
    Side by side, they came to {goal}. They were the last ones, and everyone cheered.
    [A mouse|A small boy|A little girl] won {the_prize}. But when {hero} and {other} arrived, the cheering was loudest of all.
    They reached {goal} long after the others. {elder} had tears in {elder.his} eyes.
    The others had finished already. But all of them came back to walk the last steps with {hero} and {other}.
    """)
    teller.tell("""
    <other soft: Thank you. I am sorry that I laughed at you.> They shook {hero.hand}s.
    {hero} did not win {the_prize}, but {hero.he} won a friend.
    <friend say: You are the real winner.> <other glad: Yes! That is true!>
    <elder say: Anybody can be fast. Not everybody can be kind.>
    The next year, {hero} and {other} trained together.
    """)


def promise(teller: Teller) -> None:
    """A duty is forgotten, and made good."""
    teller.fix(**teller.deal(DUTIES))
    teller.tell("""
    {when}, {elder} had to go to [town|the market|the mill]. <elder ask: Will you {duty} while I am gone?> <hero glad: Yes!>
    {when}, {hero} got an important job. <elder say: Today it is your turn to {duty}.>
    {when}, {elder} asked {hero} to {duty}. <hero say: You can count on me.>
    <elder say: You are big enough now to {duty}.> {hero} felt @proud.
    """)
    teller.tell("""
    But on the way, {hero} saw @sight and forgot all about it.
    But it was a @nice day, and {hero} wanted to play first. <hero~ say: I will do it later.>
    {hero} wanted to start right away. Then {friend} came with a new game, and {hero} forgot.
    First {hero} climbed a tree. Then {hero.he} built a dam in the brook. The hours went by.
    {hero} lay down in the grass, just for a minute, and fell asleep.
    """)
    teller.paragraph()
    teller.tell("""
    In the evening, {trouble}. <hero sad: Oh no! I forgot!>
    When {hero} came back, {trouble}. {hero.His} heart sank.
    Suddenly {hero.he} remembered. {hero.He} ran back, but {trouble}.
    Then {hero} saw what had happened: {trouble}.
    """)
    teller.tell("""
    What should {hero.he} do? {hero.He} could say that {hero.he} had done it. But that was not true.
    <friend ask: Will you tell {elder}?> <hero reply: Yes. But first I will put it right.>
    {hero} felt sad and ashamed. {hero.He} had made a promise.
    <hero~ sad: {elder} trusted me.> A tear fell on {hero.his} foot.
    <friend say: Nobody will know.> <hero firm: I will know.>
    """)
    teller.tell("""
    {hero} got to work. {hero.He} {repair}.
    There was still time. {hero} {repair}.
    So {hero} ran, and {hero.he} {repair}. {friend} helped as well as {friend.he} could.
    It was hard work, but {hero} {repair}.
    Without a word, {hero} {repair}.
    """)
    teller.paragraph()
    teller.tell("""
    When {elder} came, {hero} told everything. <hero sad: I forgot my promise.>
    Then {hero.he} went to {elder}. <hero low: I have to tell you something. I forgot, and {trouble}.>
    <elder ask: How did it go?> {hero} looked down. <hero reply: Not so well at first. I forgot it and played.>
    {elder} saw {hero.his} dirty face. <elder ask: What happened?> And {hero} told {elder.him} all of it.
    """)
    teller.tell("""
    <elder soft: You forgot, and then you put it right. That is what counts.>
    {elder} thought for a while. <elder reply: It is good that you told me. Shall we try again tomorrow?>
    <elder say: A promise is a small thing that weighs a lot.> {hero} nodded. Now {hero.he} knew.
    {elder} looked at the work. <elder say: Well, it is done now. And done well!>
    """)
    teller.tell("""
    The next day, {hero} did the job first, and played after that.
    {hero} tied a @color string around one {hero.hand}, to remember. It worked very well.
    After that, {elder} could count on {hero} every time.
    And guess who was up first the next morning? It was {hero}, ready to {duty}.
    Since then {hero} says "later" only when {hero.he} really means it.
    """)


def dream(teller: Teller) -> None:
    """A wish is granted by pretending, with what is at hand."""
    teller.fix(**teller.deal(PRETENDS))
    teller.tell("""
    {hero} had a wish. {hero.He} told it to {friend}. <hero~ say: I want to {wish}.>
    {when}, {hero} sat by the window with {friend} and sighed. <hero~ say: I wish I could {wish}.>
    {when}, {elder} read a story to {hero} and {friend}. After that {hero} wanted to {wish}.
    <hero say: When I am big, I will {wish}.> <friend reply: Let us not wait so long.>
    {when}, {hero} and {friend} talked about their wishes. <hero say: I want to {wish}.>
    """)
    teller.tell("""
    <elder soft: That is far away, and you are still small.>
    <friend say: But we have no {need}!> That was true.
    There was only one problem. Nobody in the whole place had a {need}.
    <friend ask: How can you do that without a {need}?>
    {hero} asked everybody for a {need}. They all shook their heads.
    """)
    teller.tell("""
    {hero} looked around. In the corner {hero.he} saw {stuff}. <hero glad: That is it!>
    {hero} was @sad for a moment. Then {hero.he} noticed {stuff}, and {hero.his} eyes began to shine.
    <elder ask: What about {stuff}?> {hero} understood at once.
    But they did have {stuff}. <hero say: Then we will make one!>
    In the shed they found {stuff}. {friend} and {hero} looked at each other and grinned.
    """)
    teller.paragraph()
    teller.tell("""
    They {build}.
    It took them all morning. They {build}.
    <friend glad: I will help!> They {build}.
    With [string and paint|a lot of giggling|some help from {elder}], they {build}.
    """)
    teller.tell("""
    <hero glad: All aboard!> And off they went.
    <friend ask: Are you ready?> <hero glad: Ready!>
    They closed their eyes, and the adventure began.
    <hero say: Hold on tight!> {friend} held on with both {hero.hand}s.
    """)
    teller.tell("""
    {Voyage}.
    {Voyage}. {friend} could almost see it too.
    First {voyage}. Then they stopped to eat @snack.
    {Voyage}. It felt as real as can be.
    """)
    teller.paragraph()
    teller.tell("""
    Suddenly there was danger: {danger}! <friend sad: What shall we do?>
    <hero loud: Watch out! I see {danger}!>
    But then came {danger}. {friend} hid {friend.his} face.
    On the way back, they met {danger}. <hero firm: Do not be afraid!>
    """)
    teller.tell("""
    {hero} was brave. {hero.He} {deed}, and they were safe.
    <friend loud: Quick, do something!> {hero} {deed}. That was close!
    {hero} {deed}, and {friend} helped. Soon the danger was over.
    But {hero} had an idea. {hero.He} {deed}.
    """)
    teller.tell("""
    "Supper!" called {elder}. In a moment they were home again.
    When {elder} called them for supper, they were tired and @glad.
    <elder ask: Where have you been?> <hero glad: Very far away!>
    It grew dark, and they had to stop. <friend ask: Where do we go tomorrow?>
    {elder} looked at it and smiled. <elder ask: May I come along next time?>
    """)
    teller.tell(
        """
    {hero} did not need a real {need} after all.
    <hero say: It is not what you have. It is what you make of it.>
    Some wishes come true if you help them a little.
    And the {need}? It stood there all summer, and nobody was allowed to take it away.
    """,
        0.8,
    )


def _stranger(teller: Teller, taken: set[str]) -> Actor:
    """Somebody of the hero's world with another name, and with a pronoun unlike the hero's."""
    hero = teller.cast["hero"]
    gender = "she" if hero.gender == "he" else "he"
    while True:
        actor = make_actor(teller, teller.cast["world"] == "animals", gender, avoid=hero.kind)
        if actor.name not in taken:
            return actor


def _with_closing(plot: Plot) -> Plot:
    def told(teller: Teller) -> None:
        plot(teller)
        teller.tell(CLOSINGS, 0.5)

    return told


PLOTS: list[Plot] = [
    _with_closing(plot)
    for plot in (
        lost,
        sharing,
        broken,
        afraid,
        little_one,
        gift,
        newcomer,
        practice,
        warned,
        noise,
        seed,
        stuck,
        storm,
        race,
        promise,
        dream,
    )
]
