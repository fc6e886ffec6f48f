"""Short Python functions: written-out classics and composed list and text functions.

Every function is executed against a check or a reference before it is used.
"""
import random
from functools import reduce

from skills import Sample, read_blocks

PROMPTS = [
    "Write a Python function to {task}.",
    "Write a function in Python to {task}.",
    "Write a short Python function to {task}.",
    "Show me a Python function to {task}.",
    "Please write Python code to {task}.",
    "How do I {task} in Python?",
    "I need a Python function to {task}.",
]
OPENINGS = ["Here is a function that does this:", "This function does it:", "You can write it like this:"]

# Composed list functions: an aggregate over a change over a choice of numbers.
# Each piece is (words, part of the name, Python expression, note).
CHOICES = [
    ("numbers", "", "", ""),
    ("even numbers", "even", "n % 2 == 0", "keeps the even numbers"),
    ("odd numbers", "odd", "n % 2 == 1", "keeps the odd numbers"),
    ("positive numbers", "positive", "n > 0", "keeps the numbers above 0"),
    ("negative numbers", "negative", "n < 0", "keeps the numbers below 0"),
    *[(f"multiples of {k}", f"multiples_of_{k}", f"n % {k} == 0", f"keeps the multiples of {k}")
      for k in range(3, 10)],
    *[(f"numbers greater than {k}", f"above_{k}", f"n > {k}", f"keeps the numbers above {k}")
      for k in (5, 10, 20, 50, 100)],
    *[(f"numbers less than {k}", f"below_{k}", f"n < {k}", f"keeps the numbers below {k}")
      for k in (5, 10, 20, 50, 100)],
]
CHANGES = [
    ("", "", "n", ""),
    ("squares of the ", "squares", "n * n", "squares each one"),
    ("cubes of the ", "cubes", "n ** 3", "cubes each one"),
    ("doubles of the ", "doubles", "n * 2", "doubles each one"),
    ("halves of the ", "halves", "n / 2", "halves each one"),
    ("absolute values of the ", "absolutes", "abs(n)", "drops the sign of each one"),
]
AGGREGATES = [
    ("compute the sum of the {what}", "sum", "sum", "adds them up"),
    ("compute the product of the {what}", "product", "product", "multiplies them together"),
    ("list the {what}", "list", "list", "returns them as a list"),
    ("count the {what}", "count", "count", "counts them"),
]
TEST_LISTS = [[], [1], [3, -4, 10, 12, 0, 7], [-5, -6, 9, 63, 105, 56]]

# Composed text functions: an action over a class of characters.
CHARS = [
    ("vowels", "ch in \"aeiou\""),
    ("consonants", "ch.isalpha() and ch not in \"aeiou\""),
    ("digits", "ch.isdigit()"),
    ("letters", "ch.isalpha()"),
    ("spaces", "ch == \" \""),
    ("capital letters", "ch.isupper()"),
    ("small letters", "ch.islower()"),
]
ACTIONS = [
    ("count the {c} in a string", "count_{n}",
     "return sum(1 for ch in text if {t})",
     "It adds 1 for every character that passes the test."),
    ("remove the {c} from a string", "remove_{n}",
     "return \"\".join(ch for ch in text if not ({t}))",
     "Only the other characters are joined again."),
    ("keep only the {c} of a string", "keep_{n}",
     "return \"\".join(ch for ch in text if {t})",
     "The characters that pass the test are joined in order."),
    ("check whether a string has any {c}", "has_{n}",
     "return any({t} for ch in text)",
     "The search stops at the first character that passes."),
    ("check whether a string has only {c}", "only_{n}",
     "return all({t} for ch in text)",
     "One character that fails is enough to return False."),
    ("list the positions of the {c} in a string", "positions_of_{n}",
     "return [i for i, ch in enumerate(text) if {t}]",
     "The positions count from 0."),
]
TEST_TEXTS = ["", "Hello World 42", "aei", "xyz", "ABC", "12"]

# Composed ordering and grouping functions: words by one property.
PROPERTIES = [
    ("length", "length", "len(word)"),
    ("first letter", "first_letter", "word[0]"),
    ("last letter", "last_letter", "word[-1]"),
    ("number of vowels", "vowels", "sum(ch in \"aeiou\" for ch in word)"),
]
WORD_TASKS = [
    ("sort words by their {p}", "sort_by_{n}",
     "    return sorted(words, key=lambda word: {e})",
     "The key decides the order, and equal words keep their places."),
    ("sort words by their {p} in reverse", "sort_by_{n}_reverse",
     "    return sorted(words, key=lambda word: {e}, reverse=True)",
     "The argument reverse puts the largest key first."),
    ("group words by their {p}", "group_by_{n}",
     "    groups = {{}}\n    for word in words:\n        key = {e}\n"
     "        groups.setdefault(key, []).append(word)\n    return groups",
     "The method setdefault makes a new list for every new key."),
    ("count words by their {p}", "count_by_{n}",
     "    counts = {{}}\n    for word in words:\n        key = {e}\n"
     "        counts[key] = counts.get(key, 0) + 1\n    return counts",
     "Each key counts the words that share it."),
]
TEST_WORDS = ["pear", "fig", "apple", "plum", "kiwi", "grape"]


def run(code, expression, **values):
    """Execute a generated function and evaluate an expression with it."""
    scope = dict(values)
    exec(code, scope)  # our own text, from this file and data/python.txt
    return eval(expression, scope)


def load_classics():
    """[(task wordings, code variants, notes)]; the file's checks are run here."""
    classics = []
    for title, fields in read_blocks("python.txt"):
        for code in fields["code"]:
            assert run(code, fields["check"][0]), title
        classics.append(([title, *fields.get("phrase", [])], fields["code"], fields["note"]))
    return classics


CLASSICS = load_classics()


def sample(rng):
    kind = rng.random()
    if kind < 0.55:
        return classic(rng)
    if kind < 0.8:
        return list_function(rng)
    return text_function(rng) if kind < 0.92 else word_function(rng)


def classic(rng):
    tasks, codes, notes = rng.choice(CLASSICS)
    task = rng.choice(tasks)
    return build(rng, task, rng.choice(codes), rng.choice(notes), "{p}|" + task)


def build(rng, task, code, note, key):
    prompt = rng.choice(PROMPTS)
    answer = f"{rng.choice(OPENINGS)}\n\n```python\n{code}\n```\n\n{note}"
    return Sample("python", prompt.format(task=task), answer, "python|" + key.replace("{p}", prompt))


def list_function(rng):
    choice, aggregate = rng.choice(CHOICES), rng.choice(AGGREGATES)
    change = CHANGES[0] if aggregate[1] == "count" else rng.choice(CHANGES)  # counting changed numbers is idle
    task = aggregate[0].format(what=change[0] + choice[0]) + " in a list"
    name = "_".join(part for part in (aggregate[1], change[1], choice[1]) if part)
    code = list_code(name if "_" in name else name + "_numbers", choice[2], change[2], aggregate[2])
    steps = [note for note in (choice[3], change[3], aggregate[3]) if note]
    note = "It " + (", ".join(steps[:-1]) + " and " + steps[-1] if len(steps) > 1 else steps[0]) + "."
    return build(rng, task, code, note, f"list|{choice[0]}|{change[0]}|{aggregate[1]}")


def list_code(name, test, value, aggregate):
    """The same loop for every aggregate: start, choose, update, return."""
    start, update = {
        "sum": ("total = 0", f"total += {value}"),
        "product": ("total = 1", f"total *= {value}"),
        "list": ("total = []", f"total.append({value})"),
        "count": ("total = 0", "total += 1"),
    }[aggregate]
    result = "result" if aggregate == "list" else "total"
    start, update = (text.replace("total", result) for text in (start, update))
    indent = " " * (12 if test else 8)
    choose = f"        if {test}:\n" if test else ""
    return (f"def {name}(numbers):\n    {start}\n    for n in numbers:\n"
            f"{choose}{indent}{update}\n    return {result}")


def text_function(rng):
    chars, test = rng.choice(CHARS)
    task, name, body, note = rng.choice(ACTIONS)
    header = f"def {name.format(n=chars.replace(' ', '_'))}(text):\n    "
    ignores_case = "aeiou" in test and name.startswith(("count", "has", "only"))
    lower = "text = text.lower()\n    " if ignores_case else ""
    code = header + lower + body.format(t=test)
    return build(rng, task.format(c=chars), code, note, f"text|{chars}|{task}")


def word_function(rng):
    prop, short, expression = rng.choice(PROPERTIES)
    task, name, body, note = rng.choice(WORD_TASKS)
    code = f"def {name.format(n=short)}(words):\n" + body.format(e=expression)
    return build(rng, task.format(p=prop), code, note, f"word|{prop}|{task}")


def self_check():
    """Execute every composed function; the classics were run when loaded."""
    folds = {"sum": sum, "product": lambda v: reduce(lambda a, b: a * b, v, 1), "list": list, "count": len}
    for choice in CHOICES:
        for change in CHANGES:
            for aggregate, fold in folds.items():
                code = list_code("f", choice[2], change[2], aggregate)
                for numbers in TEST_LISTS:
                    kept = [n for n in numbers if eval(choice[2] or "True", {"n": n})]
                    want = fold([eval(change[2], {"n": n}) for n in kept])
                    assert run(code, "f(v)", v=numbers) == want, code
    rng = random.Random(0)
    for _ in range(400):
        for make, argument in ((text_function, TEST_TEXTS), (word_function, [TEST_WORDS])):
            answer = make(rng).answer.split("```")[1].removeprefix("python\n")
            name = answer.split("def ")[1].split("(")[0]
            for value in argument:
                run(answer, f"{name}(v)", v=value)


if __name__ == "__main__":
    self_check()
    print("all functions run")
