"""The facts of the workshop's stories: records whose parts belong together, one a story and plot."""

SMALL_THINGS = [
    *[
        "key",
        "shell",
        "marble",
        "scarf",
        "whistle",
        "spoon",
        "bell",
        "feather",
        "hat",
        "ribbon",
        "toy boat",
        "toy horse",
    ],
    *["button", "cup", "mitten", "toy car", "little drum", "picture book"],
]
LOSSES = [
    {"memory": "I took a nap under the apple tree", "spot": "under the apple tree"},
    {"memory": "I fed the ducks at the pond", "spot": "in the grass by the pond"},
    {"memory": "I played with the kittens in the barn", "spot": "in the hay where the kittens slept"},
    {"memory": "I built a fort behind the sofa", "spot": "behind the sofa"},
    {"memory": "I helped {elder} to bring in the wood", "spot": "between two logs of wood"},
    {"memory": "I played shop on the stairs", "spot": "under the last step"},
    {"memory": "I picked berries by the old wall", "spot": "on top of the old wall"},
    {"memory": "I jumped into a big pile of leaves", "spot": "deep in the pile of leaves"},
    {"memory": "I sat on the bridge and looked at the fish", "spot": "on the edge of the bridge"},
    {"memory": "I rode in the wagon with the pumpkins", "spot": "in the wagon, between two pumpkins"},
    {"memory": "I tried on {elder}'s big boots", "spot": "deep inside the left boot"},
    {"memory": "I dug a hole in the sand", "spot": "half covered by the sand"},
]
SHARED = [
    {
        "thing": "wagon",
        "idea": "One of us can ride, and the other can pull. Then we change.",
        "result": "One rode, one pulled, and at the big tree they changed places.",
    },
    {
        "thing": "swing",
        "idea": "I push you twenty times, and then you push me.",
        "result": "They counted every push, and each of them flew up to the leaves.",
    },
    {
        "thing": "drum",
        "idea": "One of us can drum, and the other can dance.",
        "result": "The drum went boom, and somebody was always dancing.",
    },
    {
        "thing": "scooter",
        "idea": "We can stand on it together. Then it is even faster.",
        "result": "They stood close together and flew down the lane, shouting all the way.",
    },
    {
        "thing": "ball",
        "idea": "If I throw it to you and you throw it to me, we both have it.",
        "result": "The ball flew back and forth, a hundred times without falling.",
    },
    {
        "thing": "picture book",
        "idea": "You read one page, and I read the next one.",
        "result": "They read in turns, and each of them did all the voices.",
    },
    {
        "thing": "paint box",
        "idea": "You paint the sky, and I paint the ground.",
        "result": "It became one big picture with a bright sky and a green hill.",
    },
    {
        "thing": "toy boat",
        "idea": "You let it sail from that side, and I will catch it on this side.",
        "result": "The boat sailed from one side of the pond to the other, over and over.",
    },
    {
        "thing": "box of blocks",
        "idea": "Let us build one tower together.",
        "result": "The tower grew until it was taller than both of them.",
    },
    {
        "thing": "kite",
        "idea": "You hold the string, and I run with the kite. Next time it is the other way around.",
        "result": "The kite rose into the sky, and they both shouted with joy.",
    },
]
for _record in SHARED:
    _record["a_thing"] = f"a [big|new|@color] {_record['thing']}"
    _record["the_thing"] = f"the {_record['thing']}"

BREAKABLES = [
    {"thing": "vase", "broke": "broke into three pieces", "mended": "glued the pieces together"},
    {"thing": "tea cup", "broke": "lost its handle", "mended": "glued the handle on again"},
    {"thing": "lamp", "broke": "cracked from top to bottom", "mended": "painted a flower over the crack"},
    {"thing": "flower pot", "broke": "broke in two", "mended": "gave the flower a new home in an old boot"},
    {"thing": "clock", "broke": "lost one of its hands", "mended": "made a new hand out of wood"},
    {"thing": "music box", "broke": "lost its lid", "mended": "made a new lid with a star on it"},
    {"thing": "picture frame", "broke": "fell apart", "mended": "made a new frame out of sticks"},
    {
        "thing": "plate with roses on it",
        "broke": "broke into many pieces",
        "mended": "made a pretty star out of the pieces",
    },
    {"thing": "wooden bird", "broke": "lost a wing", "mended": "carved a new wing"},
]
for _record in BREAKABLES:
    _record["a_thing"] = f"a @nice {_record['thing']}"
    _record["the_thing"] = f"the {_record['thing']}"
    _record["doing"] = "[dancing|running|jumping|playing ball|spinning around|playing tag]"

FEARS = [
    {
        "fear": "the dark",
        "scene": "the lamp went out and everything was black",
        "advice": "Wait a little, and your eyes will learn to see.",
        "deed": "{hero} opened {hero.his} eyes wide and waited",
        "finding": "the moon was shining in, and the monster in the corner was only a coat",
    },
    {
        "fear": "thunder",
        "scene": "a big storm came, and the sky went boom",
        "advice": "Count from the flash to the boom. Then you know how far away it is.",
        "deed": "{hero} counted each time: four, then seven, then eleven",
        "finding": "the storm was going away, and counting was almost a game",
    },
    {
        "fear": "the big dog next door",
        "scene": "the big dog stood right in front of the gate",
        "advice": "Stand still, hold out your {hero.hand}, and let him come to you.",
        "deed": "{hero} stood still and held out one {hero.hand}",
        "finding": "the dog sniffed, wagged his tail, and gave {hero.him} a wet kiss",
    },
    {
        "fear": "deep water",
        "scene": "everybody jumped into the lake, and {hero} stayed on the shore",
        "advice": "Start with your toes. The water will carry you if you let it.",
        "deed": "{hero} put in {hero.his} toes, then {hero.his} knees, then {hero.his} belly",
        "finding": "the water was soft and cool, and it really carried {hero.him}",
    },
    {
        "fear": "the high slide",
        "scene": "{hero} stood at the top of the high slide and could not move",
        "advice": "Do not look down. Look at the trees, and let go.",
        "deed": "{hero} looked at the trees and let go",
        "finding": "it was over in a moment, and it felt like flying",
    },
    {
        "fear": "singing in front of others",
        "scene": "it was the day of the school concert, and all the seats were full",
        "advice": "Look at one friendly face and sing for that one.",
        "deed": "{hero} found {friend}'s face and sang the first note",
        "finding": "the rest of the song came out all by itself, loud and clear",
    },
    {
        "fear": "the old bridge",
        "scene": "the only way home was over the old bridge, and it was shaking in the wind",
        "advice": "Hold the rope with both {hero.hand}s and take small steps.",
        "deed": "{hero} held the rope and took ten small steps",
        "finding": "{hero.he} was on the other side before {hero.he} knew it",
    },
    {
        "fear": "the first day of school",
        "scene": "it was time to go to school for the first time",
        "advice": "All the others are new too. Say hello to one of them.",
        "deed": "{hero} went up to somebody who looked just as worried and said hello",
        "finding": "by noon they were laughing together",
    },
    {
        "fear": "the cellar",
        "scene": "{elder} needed a jar of plums from the cellar",
        "advice": "Sing a loud song on the stairs. Then nothing can surprise you.",
        "deed": "{hero} went down the stairs and sang as loudly as {hero.he} could",
        "finding": "there was nothing in the cellar but jars, potatoes, and a sleepy spider",
    },
]
BABIES = [
    {
        "baby": "duckling",
        "where": "the well",
        "clue": "a row of small, wet tracks",
        "home_place": "a pond full of reeds",
    },
    {
        "baby": "lamb",
        "where": "the gate",
        "clue": "bits of white wool on the bushes",
        "home_place": "a meadow with many sheep",
    },
    {"baby": "chick", "where": "the firewood", "clue": "a trail of yellow corn", "home_place": "an old hen house"},
    {
        "baby": "piglet",
        "where": "the road",
        "clue": "mud on the grass",
        "home_place": "a farm with a big puddle",
    },
    {
        "baby": "gosling",
        "where": "the bridge",
        "clue": "gray feathers on the path",
        "home_place": "a nest by the river",
    },
    {
        "baby": "puppy",
        "where": "the garden",
        "clue": "a broken piece of fence",
        "home_place": "a yard with a big dog house",
    },
    {
        "baby": "baby swan",
        "where": "the mill",
        "clue": "white feathers on the water",
        "home_place": "a nest at the edge of the lake",
    },
    {"baby": "turtle", "where": "the path", "clue": "a thin line in the sand", "home_place": "a sunny beach"},
    {
        "baby": "baby owl",
        "where": "the foot of a tall pine",
        "clue": "soft feathers on the moss",
        "home_place": "a hole in a pine tree",
    },
    {
        "baby": "kid goat",
        "where": "the market",
        "clue": "a row of half-eaten flowers",
        "home_place": "a steep hill with goats on it",
    },
]
for _record in BABIES:
    _record["a_baby"] = f"a [tiny|little|small] {_record['baby']}"

# What the gift needs, and who has it.
GIFTS = [
    {
        "a_gift": "a honey cake",
        "the_gift": "the cake",
        "part": "some honey",
        "bare_part": "honey",
        "helper": "the beekeeper",
    },
    {
        "a_gift": "an apple pie",
        "the_gift": "the pie",
        "part": "a basket of apples",
        "bare_part": "apples",
        "helper": "the farmer",
    },
    {
        "a_gift": "a warm scarf",
        "the_gift": "the scarf",
        "part": "some soft wool",
        "bare_part": "wool",
        "helper": "the shepherd",
    },
    {
        "a_gift": "a little boat",
        "the_gift": "the boat",
        "part": "a piece of wood",
        "bare_part": "wood",
        "helper": "the carpenter",
    },
    {
        "a_gift": "a painted card",
        "the_gift": "the card",
        "part": "some blue paint",
        "bare_part": "blue paint",
        "helper": "the painter",
    },
    {
        "a_gift": "a wreath of flowers",
        "the_gift": "the wreath",
        "part": "some roses",
        "bare_part": "roses",
        "helper": "the gardener",
    },
    {
        "a_gift": "a big pot of soup",
        "the_gift": "the soup",
        "part": "three carrots",
        "bare_part": "carrots",
        "helper": "the farmer",
    },
    {
        "a_gift": "a string of beads",
        "the_gift": "the string of beads",
        "part": "some thread",
        "bare_part": "thread",
        "helper": "the tailor",
    },
    {
        "a_gift": "sweet bread",
        "the_gift": "the bread",
        "part": "a bag of flour",
        "bare_part": "flour",
        "helper": "the miller",
    },
    {
        "a_gift": "a soft pillow",
        "the_gift": "the pillow",
        "part": "a bag of feathers",
        "bare_part": "feathers",
        "helper": "the innkeeper",
    },
    {
        "a_gift": "a little lamp",
        "the_gift": "the lamp",
        "part": "a candle",
        "bare_part": "candle",
        "helper": "the candle maker",
    },
]
ERRANDS = [
    {"need": "my hat blew up into that tree.", "work": "climbed the tree and brought the hat down"},
    {"need": "all these baskets have to go into the shed.", "work": "carried one basket after another into the shed"},
    {"need": "my yard is full of leaves.", "work": "swept the leaves into a big pile"},
    {
        "need": "I have lost my glasses and cannot see a thing.",
        "work": "looked everywhere and found the glasses in the sugar bowl",
    },
    {"need": "the goats have run away again.", "work": "ran after the goats and brought them all back"},
    {"need": "nobody has washed these pots for a week.", "work": "washed the pots until they were shining"},
    {
        "need": "my back hurts, and the firewood is still outside.",
        "work": "brought the firewood in and put it by the stove",
    },
    {
        "need": "this letter must go to the mill before noon.",
        "work": "ran to the mill with the letter and came back with an answer",
    },
    {"need": "my baby will not stop crying.", "work": "sang to the baby until it fell asleep"},
    {"need": "my fence needs paint.", "work": "painted the fence white from one end to the other"},
    {"need": "there are too many weeds among my beans.", "work": "pulled out the weeds, row after row"},
]
GAMES = [
    {
        "playing": "playing ball",
        "playing_cap": "Playing ball",
        "trouble": "the ball rolled under a thick, thorny bush",
        "skill": "{other} was small and quick, and slipped under the thorns without a scratch",
    },
    {
        "playing": "building a dam",
        "playing_cap": "Building a dam",
        "trouble": "the water broke through the wall",
        "skill": "{other} knew how to lay the stones, the big ones first and then the small ones",
    },
    {
        "playing": "flying a kite",
        "playing_cap": "Flying a kite",
        "trouble": "the string got into a terrible knot",
        "skill": "{other} could untie any knot and had it open in no time",
    },
    {
        "playing": "putting on a play",
        "playing_cap": "Putting on a play",
        "trouble": "they forgot the end of the story",
        "skill": "{other} knew a hundred stories and made up a new end",
    },
    {
        "playing": "jumping rope",
        "playing_cap": "Jumping rope",
        "trouble": "the old rope broke in the middle",
        "skill": "{other} took the long belt from around {other.his} coat, and it made a perfect rope",
    },
    {
        "playing": "building a tree house",
        "playing_cap": "Building a tree house",
        "trouble": "the ladder fell down while they were up there",
        "skill": "{other} climbed down the trunk as fast as a cat and put the ladder back",
    },
    {
        "playing": "making music",
        "playing_cap": "Making music",
        "trouble": "nobody could keep the beat",
        "skill": "{other} tapped on a pot, so clear and steady that all of them fell in",
    },
    {
        "playing": "looking for treasure",
        "playing_cap": "Looking for treasure",
        "trouble": "they could not read the old map",
        "skill": "{other} turned the map around, and now everything made sense",
    },
]
SKILLS = [
    {
        "skill": "ride a bike",
        "doing": "riding a bike",
        "fail": "the bike fell to the left and {hero.he} fell to the right",
        "tip": "Look ahead, not at the wheel.",
        "success": "{hero} looked ahead and rode all the way down the lane",
    },
    {
        "skill": "whistle",
        "doing": "whistling",
        "fail": "only air came out",
        "tip": "Make your lips small and blow very softly.",
        "success": "a clear, high whistle came out, and a bird whistled back",
    },
    {
        "skill": "swim",
        "doing": "swimming",
        "fail": "{hero.he} sank like a stone and swallowed a lot of water",
        "tip": "Move slowly, like a frog.",
        "success": "{hero} swam from one side to the other, just like a frog",
    },
    {
        "skill": "bake bread",
        "doing": "baking bread",
        "fail": "the bread came out as hard as a brick",
        "tip": "Let the dough sleep before you bake it.",
        "success": "the bread was high and golden, and the whole house smelled of it",
    },
    {
        "skill": "skate",
        "doing": "skating",
        "fail": "{hero.his} feet flew up and {hero.he} sat down hard",
        "tip": "Bend your knees and push to the side.",
        "success": "{hero} went around the whole yard without falling once",
    },
    {
        "skill": "play the flute",
        "doing": "playing the flute",
        "fail": "it sounded like an angry goose",
        "tip": "Play one note until you like it. Then play the next one.",
        "success": "a soft, sweet tune filled the room",
    },
    {
        "skill": "do a headstand",
        "doing": "doing a headstand",
        "fail": "{hero.he} rolled over and landed on {hero.his} back",
        "tip": "Put your head and both {hero.hand}s on the ground, like the legs of a stool.",
        "success": "{hero} stood on {hero.his} head and saw the world upside down",
    },
    {
        "skill": "skip a stone over the water",
        "doing": "skipping a stone over the water",
        "fail": "the stone went plop and was gone",
        "tip": "Take a flat stone and throw it low.",
        "success": "the stone jumped once, twice, five times over the water",
    },
    {
        "skill": "make pancakes",
        "doing": "making pancakes",
        "fail": "the pancake stuck to the ceiling",
        "tip": "Wait for the little bubbles, and then turn it gently.",
        "success": "the pancake turned once in the air and came down in the pan",
    },
]
WARNINGS = [
    {
        "warning": "Do not go near the bees. They do not like guests.",
        "temptation": "there was a smell of honey in the air",
        "deed": "lifted the lid of the bee box, just a little",
        "trouble": "a cloud of angry bees came out, and one of them stung {hero.him} on the nose",
        "rescue": "{elder} threw a coat over {hero.him}, and they ran into the house",
    },
    {
        "warning": "Do not eat the berries by the wall. They will make you sick.",
        "temptation": "the berries were red and round and looked so sweet",
        "deed": "ate a whole handful of berries",
        "trouble": "{hero.his} belly began to hurt terribly",
        "rescue": "{elder} gave {hero.him} bitter tea and sat by the bed all night",
    },
    {
        "warning": "Do not open the gate. The goats will run away.",
        "temptation": "the gate was made for climbing and swinging",
        "deed": "opened the gate to swing on it",
        "trouble": "all the goats ran out and into the cabbage field",
        "rescue": "{elder} whistled and shook a bucket, and the two of them brought the goats back one by one",
    },
    {
        "warning": "Stay on the path. It is easy to get lost in the woods.",
        "temptation": "there was a blue butterfly, and it flew in among the trees",
        "deed": "ran after the butterfly, deeper and deeper into the woods",
        "trouble": "every tree looked the same, and the path was gone",
        "rescue": "{elder} called again and again, until {hero} could follow the voice back to the path",
    },
    {
        "warning": "Do not climb that old tree. The branches are rotten.",
        "temptation": "from up there, one could surely see the sea",
        "deed": "climbed up to the highest branch",
        "trouble": "the branch below broke off, and there was no way down",
        "rescue": "{elder} brought the long ladder and carried {hero.him} down",
    },
    {
        "warning": "The cookies are for tomorrow. Please do not touch them.",
        "temptation": "the smell of the cookies came right under the door",
        "deed": "ate one cookie, and another, and then all of them",
        "trouble": "there were no cookies left for the feast, and {hero.he} felt sick as well",
        "rescue": "{elder} rolled up both sleeves, and together they baked until midnight",
    },
    {
        "warning": "Do not take the boat out alone. The river is fast.",
        "temptation": "the little boat rocked on the water as if it were calling",
        "deed": "climbed into the boat and untied the rope",
        "trouble": "the river took the boat and turned it around and around",
        "rescue": "{elder} ran along the shore, threw a rope, and pulled the boat in",
    },
    {
        "warning": "Do not play with the cart. It is on a hill.",
        "temptation": "the cart would make a fine ship",
        "deed": "climbed onto the cart and pulled the brake",
        "trouble": "the cart rolled down the hill, faster and faster, right into the pond",
        "rescue": "{elder} waded in, lifted {hero.him} out, and wrapped {hero.him} in a warm blanket",
    },
    {
        "warning": "Let the swans be. They have a nest.",
        "temptation": "the eggs must be so smooth and white",
        "deed": "tiptoed up to the nest to touch one egg",
        "trouble": "the big swan came hissing, with its wings spread wide, and chased {hero.him} up a rock",
        "rescue": "{elder} stood in between, spoke softly to the swan, and led {hero.him} away",
    },
]
NOISES = [
    {
        "sound": "tap, tap, tap",
        "source": "the attic",
        "cause": "a small bird that could not find the window",
        "action": "opened the window, and the bird flew out into the sun",
    },
    {
        "sound": "rumble, rumble",
        "source": "the cellar",
        "cause": "a potato that had rolled down the steps, and after it another, and another",
        "action": "tied up the bag and put all the potatoes back",
    },
    {
        "sound": "scratch, scratch",
        "source": "the old wardrobe",
        "cause": "a gray kitten that had fallen asleep among the coats",
        "action": "gave the kitten some milk and a soft place to sleep",
    },
    {
        "sound": "hoo, hoo",
        "source": "the chimney",
        "cause": "the wind, blowing over an empty bottle",
        "action": "took the bottle down and blew a tune on it",
    },
    {
        "sound": "splash, splash",
        "source": "the kitchen",
        "cause": "a frog, swimming around in the soup pot",
        "action": "carried the frog back to the pond in a bucket",
    },
    {
        "sound": "click, clack",
        "source": "the shed",
        "cause": "a hen that was walking up and down on a row of tin cans",
        "action": "brought the hen home and gave it some corn",
    },
    {
        "sound": "crunch, crunch",
        "source": "the barn",
        "cause": "a goat, and it was eating {elder}'s straw hat",
        "action": "gave the goat some hay and saved what was left of the hat",
    },
    {
        "sound": "ding, ding",
        "source": "the old mill",
        "cause": "a lamb with a bell around its neck, caught between two boards",
        "action": "pulled the boards apart, and the lamb ran back to its mother",
    },
    {
        "sound": "drip, drop",
        "source": "the room under the roof",
        "cause": "rain, falling through a small hole into a tin pan",
        "action": "told {elder}, and the hole was closed the same day",
    },
    {
        "sound": "thump, thump",
        "source": "the hall",
        "cause": "a puppy, wagging its tail against the wall",
        "action": "found out where the puppy lived and took it home",
    },
]
PLANTS = [
    {
        "plant": "a sunflower, taller than {elder}",
        "harvest": "the birds came for the seeds, and there were enough for all of them",
    },
    {
        "plant": "a pumpkin as big as a barrel",
        "harvest": "{elder} cooked soup from it, and the whole street came to eat",
    },
    {"plant": "a bush full of red berries", "harvest": "everybody got a cup of berries with cream"},
    {
        "plant": "a bean plant as high as the roof",
        "harvest": "they picked beans for a week and gave baskets of them away",
    },
    {"plant": "a row of sweet peas", "harvest": "each friend got one pod, and there were nine peas in each"},
    {"plant": "a long vine with white flowers", "harvest": "it made a green roof, and they all sat in its shade"},
    {"plant": "a carrot as long as an arm", "harvest": "it took four of them to pull it out, and all four had a bite"},
]
_HIGH = {
    "thing": "[kite|ball|hat|balloon|paper plane]",
    "solution": "{Helper} [climbed on a barrel|brought a ladder|took a long rake], reached up, and there it was",
    "attempts": "high",
}
STUCK = [
    {**_HIGH, "mishap": "the wind carried the {thing} up into a tall tree", "hazard": "the tall tree"},
    {**_HIGH, "mishap": "the {thing} flew up onto the roof and stayed there", "hazard": "the roof"},
    {**_HIGH, "mishap": "the {thing} got caught on top of a lamp post", "hazard": "the lamp post"},
    {**_HIGH, "mishap": "the {thing} landed on a high wall", "hazard": "the wall"},
    {
        "thing": "[toy boat|ball|wooden duck]",
        "mishap": "the {thing} floated out into the middle of the pond",
        "hazard": "the middle of the pond",
        "solution": "{Helper} [swam|rowed] out, gave it a push, and it came back to the shore",
        "attempts": "water",
    },
    {
        "thing": "[ball|marble|toy car|bucket]",
        "mishap": "the {thing} rolled into a deep, narrow hole",
        "hazard": "the hole",
        "solution": "{Helper} [let down a hook on a string|reached in with a bent spoon on a stick] and pulled it out",
        "attempts": "hole",
    },
]
ATTEMPTS = {
    "high": [
        "threw sticks at it",
        "jumped as high as they could",
        "stood on a box",
        "shook and pushed with all their strength",
        "climbed on each other's shoulders",
        "tried to reach it with a broom",
    ],
    "water": [
        "threw stones behind it to make waves",
        "blew as hard as they could",
        "tried to reach it with a branch",
        "made a long line out of their scarves",
        "walked in up to their knees",
    ],
    "hole": [
        "put in an arm, all the way to the shoulder",
        "pushed a stick in",
        "dug with a shovel, but found a big rock",
        "put honey on the end of a string",
        "called down to it, as if it could hear them",
    ],
}
RESCUERS = [
    *["the mailman", "the tall baker", "the old sailor", "the girl from next door", "the teacher", "the fisherman"],
    *["the roofer", "the tall gardener", "the milkman", "the doctor"],
]
GUESTS = [
    "goat",
    "hen",
    "toad",
    "lamb",
    "goose",
    "duck",
    "turtle",
    "crow",
    "sheep",
    "pig",
    "sparrow",
    "pony",
    "cow",
]
GUEST_TRAITS = ["wet", "shy", "tired", "very old", "thin", "fat", "muddy", "shaking", "gray", "small"]
SHELTERS = ["empty barrel", "old shed", "dry cave", "hollow tree", "small tent", "old cart with a roof"]
WEATHERS = ["a big storm", "a thunderstorm", "heavy rain", "a hail storm", "a wild wind with rain"]
CONTESTS = [
    {
        "contest": "race",
        "goal": "the old oak",
        "prize": "golden cup",
        "start": "they all ran, and the dust flew up behind them",
        "slip": "stepped into a hole and fell",
    },
    {
        "contest": "sack race",
        "goal": "the flag",
        "prize": "blue ribbon",
        "start": "they hopped like a crowd of frogs",
        "slip": "got both feet tangled and fell on {other.his} nose",
    },
    {
        "contest": "swimming race",
        "goal": "the far shore",
        "prize": "silver fish",
        "start": "everyone jumped in with a splash",
        "slip": "swam into the weeds and got stuck",
    },
    {
        "contest": "wagon race",
        "goal": "the bottom of the hill",
        "prize": "warm cap",
        "start": "the wagons rolled down the hill, faster and faster",
        "slip": "hit a rock and fell out of the wagon",
    },
    {
        "contest": "boat race",
        "goal": "the bridge",
        "prize": "red flag",
        "start": "all of them pulled at their oars",
        "slip": "hit a rock and fell into the water",
    },
    {
        "contest": "climbing race",
        "goal": "the top",
        "prize": "silver bell",
        "start": "they climbed over roots and stones",
        "slip": "slipped on a wet stone and hurt {other.his} foot",
    },
    {
        "contest": "egg and spoon race",
        "goal": "the fence",
        "prize": "big chocolate egg",
        "start": "they walked as fast as their eggs would let them",
        "slip": "stumbled, and the egg landed on {other.his} own head",
    },
]
for _record in CONTESTS:
    _record["a_contest"] = f"a [big|great] {_record['contest']}"
    _record["a_prize"] = f"a {_record['prize']}"
    _record["the_prize"] = f"the {_record['prize']}"

DUTIES = [
    {
        "duty": "feed the hens",
        "trouble": "the hens were hungry and cried at the fence",
        "repair": "brought them corn and fresh water and said sorry to each of them",
    },
    {
        "duty": "water the tomatoes",
        "trouble": "the tomatoes hung their heads",
        "repair": "carried water, can after can, until the ground was dark and wet",
    },
    {
        "duty": "bring in the washing",
        "trouble": "the wind had blown all the shirts into the mud",
        "repair": "washed every shirt again and hung them up by the stove",
    },
    {
        "duty": "close the gate",
        "trouble": "the sheep were all over the road",
        "repair": "brought them back, one after another, and counted them twice",
    },
    {
        "duty": "watch the soup",
        "trouble": "the soup had burned, and the kitchen was full of smoke",
        "repair": "opened the windows, scrubbed the pot, and cooked a new soup",
    },
    {
        "duty": "buy bread",
        "trouble": "the bakery was closed, and there was no bread in the house",
        "repair": "went to three neighbors to borrow flour and baked a small, round loaf",
    },
    {
        "duty": "look after the chicks",
        "trouble": "the box was open, and one chick was gone",
        "repair": "searched the garden on {hero.his} knees until {hero.he} found it under a cabbage",
    },
    {
        "duty": "sweep the yard",
        "trouble": "the yard was still full of leaves, and the guests were coming",
        "repair": "swept faster than ever before, all the way to the gate",
    },
    {
        "duty": "bring the letter to the mill",
        "trouble": "the letter was still lying on the table",
        "repair": "ran all the way to the mill and knocked just before it closed",
    },
    {
        "duty": "pick the cherries",
        "trouble": "the crows had eaten half of the cherries",
        "repair": "picked all the cherries that were left, even the ones at the very top",
    },
]
PRETENDS = [
    {
        "wish": "sail across the sea",
        "need": "ship",
        "stuff": "a big box and an old sheet",
        "build": "put up the sheet for a sail and painted a number on the box",
        "voyage": "they sailed past islands with palm trees, and whales waved at them",
        "danger": "a wave as high as a house",
        "deed": "pulled hard at the wheel and turned the ship into the wind",
    },
    {
        "wish": "fly to the moon",
        "need": "rocket",
        "stuff": "an empty barrel and two funnels",
        "build": "set the barrel upright and put one funnel on top",
        "voyage": "the houses became as small as crumbs, and stars flew by",
        "danger": "a shower of falling stars",
        "deed": "steered left, right, and left again",
    },
    {
        "wish": "ride through the desert",
        "need": "camel",
        "stuff": "a long bench and a brown blanket",
        "build": "threw the blanket over the bench and made a head out of a pillow",
        "voyage": "there was sand everywhere, and the sun was hot",
        "danger": "a great sand storm",
        "deed": "made the camel lie down, and they all hid behind it",
    },
    {
        "wish": "drive a train",
        "need": "train",
        "stuff": "a row of chairs",
        "build": "put the chairs in a line and hung a bell on the first one",
        "voyage": "the train went over high bridges and through long tunnels",
        "danger": "a cow on the track",
        "deed": "pulled the brake and rang the bell",
    },
    {
        "wish": "live in a castle",
        "need": "castle",
        "stuff": "a table and four blankets",
        "build": "hung the blankets over the table and stuck a flag on top",
        "voyage": "they had a feast with a hundred guests, and music played",
        "danger": "a dragon at the door",
        "deed": "asked the dragon in and gave it some tea",
    },
    {
        "wish": "drive a fire truck",
        "need": "fire truck",
        "stuff": "a cart and a long hose",
        "build": "painted the cart red and rolled the hose up at the back",
        "voyage": "they raced through the town and put out fire after fire",
        "danger": "smoke, coming from a high window",
        "deed": "climbed up the ladder and carried a cat down",
    },
    {
        "wish": "explore the jungle",
        "need": "jungle",
        "stuff": "a heap of branches and some green cloth",
        "build": "stuck the branches into the ground and hung up paper birds",
        "voyage": "they crept under big leaves, and monkeys called from the trees",
        "danger": "a hungry tiger",
        "deed": "scratched the tiger behind the ears until it purred",
    },
]
