"""Plain explanations: one sentence per slot, several wordings per sentence."""
from skills import Sample, read_blocks, upper_first

PROMPTS = [
    "Explain {t} in simple terms.",
    "Explain {t} to a beginner.",
    "Explain {t} in a few sentences.",
    "Explain in simple terms what {t} is.",
    "What is {t}?",
    "What is {t}, in simple terms?",
    "Can you explain {t}?",
    "Please explain {t} simply.",
    "Give a simple explanation of {t}.",
    "Describe {t} for someone who has never heard of it.",
    "How does {t} work?",
    "Tell me about {t}.",
    "I do not understand {t}. Can you help?",
]
COMPARE_PROMPTS = [
    "What is the difference between {a} and {b}?",
    "Compare {a} with {b}.",
    "How does {a} differ from {b}?",
]
COMPARE_ENDS = [
    "In short, the first is about {ga}, and the second is about {gb}.",
    "So one is about {ga}, while the other is about {gb}.",
]
ORDERS = [("what", "how", "like", "why"), ("what", "like", "how", "why")]


def load_topics():
    """Topic name -> its sentences, with the one-phrase summary under 'gist'."""
    topics = {}
    for title, fields in read_blocks("explain.txt"):
        name, gist = title.split(" | ")
        topics[name] = {**fields, "gist": gist}
    return topics


TOPICS = load_topics()


def sample(rng):
    return compare(rng) if rng.random() < 0.15 else explain(rng)


def explain(rng):
    topic = rng.choice(list(TOPICS))
    prompt = rng.choice(PROMPTS)
    answer = " ".join(rng.choice(TOPICS[topic][slot]) for slot in rng.choice(ORDERS))
    return Sample("explain", prompt.format(t=topic), answer, f"explain|{prompt}|{topic}")


def compare(rng):
    a, b = rng.sample(list(TOPICS), 2)
    first, second = TOPICS[a], TOPICS[b]
    end = rng.choice(COMPARE_ENDS).format(ga=first["gist"], gb=second["gist"])
    answer = " ".join([rng.choice(first["what"]), rng.choice(second["what"]), end])
    prompt = rng.choice(COMPARE_PROMPTS).format(a=a, b=b)
    return Sample("explain", upper_first(prompt), answer, f"compare|{a}|{b}")
