"""Short verse: a topic gives the images, a style gives the form and the rhymes.

In the data a caret marks the nouns that Emily Dickinson would capitalise.
"""
import re
from skills import Sample, read_blocks, upper_first

POET_PROMPTS = [
    "Write a short poem about {t} in the style of {s}.",
    "Write a poem about {t} in the style of {s}.",
    "Write a few lines about {t} as {s} might have written them.",
    "Compose a short poem about {t} in the manner of {s}.",
    "Can you write a poem about {t} in the style of {s}?",
    "Please write some verse about {t} like {s}.",
]
FORM_PROMPTS = [
    "Write a short poem about {t} {s}.",
    "Write a poem about {t} {s}.",
    "Compose some verse about {t} {s}.",
    "Can you write a short poem about {t} {s}?",
    "I would like a poem about {t} {s}.",
]

DICKINSON_RHYMES = [
    ("And I - I held my ^breath", "A ^neighbor unto ^death"),
    ("And never told me why", "Between the ^earth and ^sky"),
    ("As if the ^world were new", "And every ^word were true"),
    ("I stood too still to pray", "Until the ^break of ^day"),
    ("And ^silence was the ^sound", "Without a ^foot on ^ground"),
    ("I dared not call it ^mine", "Nor ask for any ^sign"),
    ("The ^heart keeps little ^room", "Outside a narrow ^tomb"),
    ("And ^morning came too soon", "As ^bells in ^afternoon"),
    ("I asked for nothing more", "Than one unbolted ^door"),
    ("My ^soul put on its ^shawl", "And answered to the ^call"),
]
BLAKE_RHYMES = [
    ("What love has made thee so?", "And none but children know."),
    ("Who taught thee joy and fear?", "And heaven bent to hear."),
    ("Did he who made thee smile?", "And angels wept the while."),
    ("Who gave to thee thy name?", "In love and holy flame."),
    ("Whose hand has set thee free?", "And sorrow turned to see."),
]
FROST_RHYMES = [
    ("With half the chores to do,", "The way a friend would do."),
    ("The load was light, the horse was slow,", "And I had still a mile to go."),
    ("A neighbor called across the stone,", "And then I walked the rest alone."),
    ("The axe was dull, the day was spent,", "And no one asked me where I went."),
    ("I set my bucket on the ground,", "And listened there without a sound."),
]
COUPLETS = [
    ("{S} {act}, and I drew near,", "for there was nothing left to fear."),
    ("{Where} the hours were slow and long,", "and every minute was a song."),
    ("It was {like}, or so I thought,", "a thing that never could be bought."),
    ("The world was {adj}, the world was wide,", "and I was glad to be outside."),
    ("{S} {act}; I heard it all,", "from garden gate to kitchen wall."),
    ("{Where} I sat and watched a while,", "and found that I had learned to smile."),
    ("{S} {act}, the day was done,", "and shadows gathered one by one."),
]
COUPLET_ENDS = [
    ("So if you wake and cannot rest,", "remember {s}, and be blessed."),
    ("And when I go, as all must do,", "I leave {s}, my friend, to you."),
]
NURSERY = [
    ("what did you see?", "{S} {act}, just for me."),
    ("what did you hear?", "{S} {act}, far and near."),
    ("where did you go?", "{Where}, where the soft winds blow."),
    ("what did you find?", "{Like}, gentle and kind."),
    ("what shall we say?", "{S} {act}, then ran away."),
]
WHITMAN = [
    "I sing of {s}, {like}, {adj} and without end,",
    "I have seen how {s} {act}, {where},",
    "I have walked out {where} and asked no one's leave,",
    "I say that {s} {act} for you and for me,",
    "I have loved what is {adj}, and I have found it here,",
]
WHITMAN_ENDS = [
    "And what was given to me freely, I give freely to you.",
    "And I am large enough to hold all of this, and so are you.",
]
FREE_OPENINGS = ["Tonight, again,", "This is what I saw:", "No one asked,", "Listen."]
FREE_ENDS = ["I say nothing.\nIt is enough.", "I keep this\nfor a darker day.", "Then the kettle sang,\nand I went in."]


class Bank:
    """The images of one topic, dealt so that a poem never repeats one."""

    def __init__(self, rng, topic):
        images = TOPICS[topic]
        self.subject = re.sub("^an? ", "the ", topic)
        self.noun = re.sub("^(an?|the) ", "", topic)
        self.decks = {slot: rng.sample(images[slot], len(images[slot])) for slot in images}

    def fill(self, template):
        """Replace {S} {s} {n} {N} and the image slots; a capital slot starts a line."""
        def value(match):
            slot = match.group(1)
            fixed = {"s": self.subject, "n": self.noun}
            text = fixed.get(slot.lower()) or self.decks[slot.lower()].pop()
            return re.sub(r"^\^?.", lambda m: m.group().upper(), text) if slot[0].isupper() else text
        return re.sub(r"\{(\w+)\}", value, template)


def dickinson(rng, bank):
    rhymes = rng.sample(DICKINSON_RHYMES, 2)
    likeness = rng.choice(["It seemed {like}", "Not unlike {like}", "I thought it was {like}"])
    first = ["{S} {act}", rhymes[0][0], likeness, rhymes[0][1]]
    opening = rng.choice(["And then {s} {act}", "Once more {s} {act}", "That hour {s} {act}"])
    second = [opening, rhymes[1][0], rng.choice(["And still {where}", "Alone {where}"]), rhymes[1][1]]
    text = bank.fill("\n\n".join("\n".join(line + " -" for line in verse) for verse in (first, second)))
    return re.sub(r"\^(\w)", lambda m: m.group(1).upper(), text).replace(" -", " \u2014")


def blake(rng, bank):
    verses = [[rng.choice(["O {adj} {n} that {act},", "{N}, {n}, that {act},"]), ask,
               rng.choice(["{Where}, {like},", "{Like}, {where},"]), tell]
              for ask, tell in rng.sample(BLAKE_RHYMES, 2)]
    return bank.fill("\n\n".join("\n".join(v) for v in verses))


def frost(rng, bank):
    (a, b), (c, d) = rng.sample(FROST_RHYMES, 2)
    lines = ["I stopped a while {where},", a, "{S} {act},", b, "",
             "I might have called it {like},", c, "But {s} {act},", d]
    return bank.fill("\n".join(lines))


def whitman(rng, bank):
    return bank.fill("\n".join(rng.sample(WHITMAN, 4) + [rng.choice(WHITMAN_ENDS)]))


def couplets(rng, bank):
    pairs = rng.sample(COUPLETS, 3) + [rng.choice(COUPLET_ENDS)]
    return bank.fill("\n".join(upper_first(a) + "\n" + upper_first(b) for a, b in pairs))


def nursery(rng, bank):
    pairs = rng.sample(NURSERY, 3)
    return bank.fill("\n".join(f"Little one, little one, {ask}\n{tell}" for ask, tell in pairs))


def free_verse(rng, bank):
    body = ["{s} {act},", "{like},", "{where}.", "Once, {adj},", "{s} {act}."]
    return bank.fill("\n".join([rng.choice(FREE_OPENINGS), *body, rng.choice(FREE_ENDS)]))


def three_lines(rng, bank):
    return bank.fill(rng.choice(["{Where},\n{s} {act}:\n{like}.", "{S} {act}.\n{Like},\n{where}."]))


STYLES = {
    "Emily Dickinson": (dickinson, POET_PROMPTS),
    "William Blake": (blake, POET_PROMPTS),
    "Robert Frost": (frost, POET_PROMPTS),
    "Walt Whitman": (whitman, POET_PROMPTS),
    "in rhyming couplets": (couplets, FORM_PROMPTS),
    "as a nursery rhyme": (nursery, FORM_PROMPTS),
    "in free verse": (free_verse, FORM_PROMPTS),
    "in three short lines": (three_lines, FORM_PROMPTS),
}
# The form with the most rules gets the most practice.
STYLE_DECK = ["Emily Dickinson", *STYLES]

TOPICS = {title: {slot: values[0].split(" | ") for slot, values in fields.items()}
          for title, fields in read_blocks("verse.txt")}


def sample(rng):
    topic = rng.choice(list(TOPICS))
    style = rng.choice(STYLE_DECK)
    write, prompts = STYLES[style]
    poem = write(rng, Bank(rng, topic)).replace("^", "")
    prompt = rng.choice(prompts).format(t=topic, s=style)
    return Sample("verse", prompt, poem, f"verse|{topic}|{style}")
