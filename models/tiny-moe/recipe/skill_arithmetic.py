"""Arithmetic word problems, each answered with its steps and a closing sentence.

Numbers stay small, and products are worked out in parts, so that a small model
can learn the method instead of a table.
"""
from skills import Sample

NAMES = ["Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Ida", "Jonas",
         "Kate", "Leo", "Mia", "Noah", "Olga", "Paul", "Rosa", "Sam", "Tina", "Victor"]
THINGS = ["apples", "pencils", "books", "stamps", "cookies", "marbles", "shells", "cards", "eggs", "tickets"]
GOODS = [("notebook", "notebooks"), ("cup", "cups"), ("ticket", "tickets"), ("pen", "pens"),
         ("sandwich", "sandwiches"), ("plant", "plants"), ("lamp", "lamps"), ("ball", "balls")]
BOXES = [("box", "boxes"), ("bag", "bags"), ("shelf", "shelves"), ("basket", "baskets"), ("crate", "crates")]
MOVERS = [("train", "miles"), ("car", "miles"), ("bus", "miles"), ("truck", "miles"), ("ship", "miles"),
          ("train", "kilometers"), ("car", "kilometers"), ("cyclist", "kilometers"), ("plane", "miles")]
SPEEDS = list(range(10, 125, 5))
HOURS = [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 8]


def show(x):
    """Write 2.0 as 2 and 2.5 as 2.5."""
    return str(int(x)) if x == int(x) else str(x)


def product_steps(a, b):
    """Work out a * b in parts; returns (steps, result)."""
    whole, rest = int(b), b - int(b)
    if rest:
        parts = f"{a} * {whole} = {a * whole}. {a} * {show(rest)} = {show(a * rest)}."
        return f"{parts} {a * whole} + {show(a * rest)} = {show(a * b)}.", a * b
    tens, ones = a // 10 * 10, a % 10
    if tens and ones and b > 1:
        parts = f"{tens} * {whole} = {tens * whole}. {ones} * {whole} = {ones * whole}."
        return f"{parts} {tens * whole} + {ones * whole} = {a * whole}.", a * whole
    return f"{a} * {whole} = {a * whole}.", a * whole


def quotient_steps(total, parts):
    return f"{total} / {parts} = {total // parts}, because {parts} * {total // parts} = {total}."


def distance(rng):
    mover, unit = rng.choice(MOVERS)
    speed, hours = rng.choice(SPEEDS), rng.choice(HOURS)
    word = "hour" if hours == 1 else "hours"
    steps, result = product_steps(speed, hours)
    prompt = rng.choice([
        f"A {mover} travels {speed} {unit} per hour for {show(hours)} {word}. How far does it go?",
        f"A {mover} moves at {speed} {unit} per hour. How far does it go in {show(hours)} {word}?",
        f"How far does a {mover} go in {show(hours)} {word} at {speed} {unit} per hour?",
        f"A {mover} goes {speed} {unit} in one hour. How many {unit} does it go in {show(hours)} {word}?",
    ])
    answer = (f"Distance is speed times time, so we compute {speed} * {show(hours)}. {steps} "
              f"The {mover} goes {show(result)} {unit}.")
    return prompt, answer, (speed, hours)


def travel_time(rng):
    mover, unit = rng.choice(MOVERS)
    speed, hours = rng.choice(SPEEDS), rng.randint(2, 9)
    total = speed * hours
    prompt = rng.choice([
        f"A {mover} travels {total} {unit} at {speed} {unit} per hour. How long does it take?",
        f"How many hours does a {mover} need for {total} {unit} at {speed} {unit} per hour?",
    ])
    answer = (f"Time is distance divided by speed. {quotient_steps(total, speed)} "
              f"The trip takes {hours} hours.")
    return prompt, answer, (speed, hours)


def speed_of(rng):
    mover, unit = rng.choice(MOVERS)
    speed, hours = rng.choice(SPEEDS), rng.randint(2, 9)
    total = speed * hours
    prompt = rng.choice([
        f"A {mover} travels {total} {unit} in {hours} hours. How fast does it go?",
        f"What is the speed of a {mover} that covers {total} {unit} in {hours} hours?",
    ])
    answer = (f"Speed is distance divided by time. {quotient_steps(total, hours)} "
              f"The {mover} goes {speed} {unit} per hour.")
    return prompt, answer, (speed, hours)


def cost(rng):
    name, (one, many) = rng.choice(NAMES), rng.choice(GOODS)
    price, count = rng.randint(2, 49), rng.randint(2, 9)
    steps, total = product_steps(price, count)
    prompt = rng.choice([
        f"A {one} costs {price} dollars. How much do {count} {many} cost?",
        f"{name} buys {count} {many} for {price} dollars each. How much does {name} pay?",
        f"What is the price of {count} {many} if one {one} costs {price} dollars?",
    ])
    answer = f"Each {one} costs {price} dollars, so we compute {price} * {count}. {steps} The total is {total} dollars."
    return prompt, answer, (price, count)


def change(rng):
    name, (one, many) = rng.choice(NAMES), rng.choice(GOODS)
    price, count = rng.randint(2, 9), rng.randint(2, 9)
    paid = rng.choice([n for n in (20, 50, 100) if n >= price * count])
    prompt = rng.choice([
        f"{name} buys {count} {many} for {price} dollars each and pays with {paid} dollars. How much change does {name} get?",
        f"A {one} costs {price} dollars. {name} buys {count} of them with a {paid} dollar bill. What is the change?",
    ])
    answer = (f"First the cost: {price} * {count} = {price * count}. Then the change: "
              f"{paid} - {price * count} = {paid - price * count}. {name} gets {paid - price * count} dollars back.")
    return prompt, answer, (price, count, paid)


def sharing(rng):
    thing, groups, each = rng.choice(THINGS), rng.randint(2, 12), rng.randint(2, 15)
    name, total = rng.choice(NAMES), groups * each
    prompt = rng.choice([
        f"{name} shares {total} {thing} equally among {groups} friends. How many does each friend get?",
        f"{total} {thing} are divided equally among {groups} children. How many does each child get?",
        f"{name} puts {total} {thing} into {groups} equal groups. How many are in each group?",
    ])
    answer = f"We divide the {thing} by the number of shares. {quotient_steps(total, groups)} Each share has {each} {thing}."
    return prompt, answer, (total, groups)


def boxes(rng):
    thing, (one, many) = rng.choice(THINGS), rng.choice(BOXES)
    count, each = rng.randint(3, 9), rng.randint(6, 36)
    steps, total = product_steps(each, count)
    prompt = rng.choice([
        f"There are {count} {many} with {each} {thing} in each. How many {thing} are there?",
        f"A {one} holds {each} {thing}. How many {thing} are in {count} {many}?",
        f"How many {thing} fit into {count} {many} if each {one} holds {each}?",
    ])
    answer = f"Every {one} holds {each} {thing}, so we compute {each} * {count}. {steps} There are {total} {thing}."
    return prompt, answer, (count, each)


def gain(rng):
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    a, b = rng.randint(5, 90), rng.randint(5, 90)
    prompt = rng.choice([
        f"{name} has {a} {thing} and finds {b} more. How many does {name} have now?",
        f"{name} has {a} {thing}. A friend gives {name} {b} more. How many {thing} does {name} have?",
        f"On Monday {name} collects {a} {thing}, and on Tuesday {b}. How many is that together?",
    ])
    answer = f"We add both amounts. {sum_steps(a, b)} {name} has {a + b} {thing}."
    return prompt, answer, (a, b)


def sum_steps(a, b):
    """Add the tens, add the ones, and join them."""
    tens, ones = a // 10 * 10 + b // 10 * 10, a % 10 + b % 10
    return (f"Tens: {a // 10 * 10} + {b // 10 * 10} = {tens}. Ones: {a % 10} + {b % 10} = {ones}. "
            f"{tens} + {ones} = {a + b}.")


def loss(rng):
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    a = rng.randint(20, 99)
    b = rng.randint(5, a - 2)
    prompt = rng.choice([
        f"{name} has {a} {thing} and gives away {b}. How many are left?",
        f"{name} had {a} {thing} and lost {b} of them. How many {thing} remain?",
        f"There are {a} {thing} on a table. {name} takes {b}. How many are still there?",
    ])
    tens = a - b // 10 * 10
    step = f"{a} - {b // 10 * 10} = {tens}. " if b >= 10 else ""
    answer = f"We take {b} away from {a}. {step}{tens} - {b % 10} = {a - b}. There are {a - b} {thing} left."
    return prompt, answer, (a, b)


def two_step(rng):
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    count, each, extra = rng.randint(2, 9), rng.randint(2, 9), rng.randint(2, 20)
    prompt = rng.choice([
        f"{name} has {count} bags with {each} {thing} each and {extra} loose {thing}. How many {thing} is that?",
        f"{name} buys {count} packs of {each} {thing} and gets {extra} more for free. How many {thing} does {name} have?",
    ])
    total = count * each + extra
    answer = (f"The packed {thing}: {count} * {each} = {count * each}. Then we add the others: "
              f"{count * each} + {extra} = {total}. {name} has {total} {thing}.")
    return prompt, answer, (count, each, extra)


def area(rng):
    a, b = rng.randint(3, 30), rng.randint(2, 9)
    place = rng.choice(["garden", "room", "field", "carpet", "wall", "yard"])
    steps, total = product_steps(a, b)
    prompt = rng.choice([
        f"A {place} is {a} meters long and {b} meters wide. What is its area?",
        f"Find the area of a {place} that measures {a} meters by {b} meters.",
    ])
    answer = f"The area is length times width, so we compute {a} * {b}. {steps} The area is {total} square meters."
    return prompt, answer, (a, b)


def perimeter(rng):
    a, b = rng.randint(3, 40), rng.randint(2, 20)
    place = rng.choice(["garden", "room", "field", "carpet", "park", "yard"])
    prompt = rng.choice([
        f"A {place} is {a} meters long and {b} meters wide. How long is the fence around it?",
        f"What is the perimeter of a {place} of {a} meters by {b} meters?",
    ])
    answer = (f"Add length and width: {a} + {b} = {a + b}. There are two of each side, so we double it: "
              f"{a + b} * 2 = {2 * (a + b)}. The answer is {2 * (a + b)} meters.")
    return prompt, answer, (a, b)


def percent(rng):
    one, _ = rng.choice(GOODS)
    rate, tenth = rng.choice([10, 20, 30, 40, 50]), rng.randint(2, 20)
    price, off = tenth * 10, tenth * rate // 10
    prompt = rng.choice([
        f"A {one} costs {price} dollars and is {rate} percent off. What is the new price?",
        f"The price of a {one} is {price} dollars. It falls by {rate} percent. What does it cost now?",
    ])
    answer = (f"Ten percent of {price} is {tenth}. So {rate} percent is {tenth} * {rate // 10} = {off}. "
              f"{price} - {off} = {price - off}. The new price is {price - off} dollars.")
    return prompt, answer, (price, rate)


def wages(rng):
    name, rate, hours = rng.choice(NAMES), rng.randint(8, 40), rng.randint(2, 9)
    steps, total = product_steps(rate, hours)
    prompt = rng.choice([
        f"{name} earns {rate} dollars per hour and works {hours} hours. How much does {name} earn?",
        f"How much does {name} earn in {hours} hours at {rate} dollars per hour?",
    ])
    answer = f"Pay is the rate times the hours, so we compute {rate} * {hours}. {steps} {name} earns {total} dollars."
    return prompt, answer, (rate, hours)


def mean(rng):
    name, middle, spread = rng.choice(NAMES), rng.randint(6, 30), rng.randint(1, 5)
    values = rng.sample([middle - spread, middle, middle + spread], 3)
    a, b, c = values
    prompt = rng.choice([
        f"{name} scores {a}, {b} and {c} points in three games. What is the average?",
        f"What is the average of {a}, {b} and {c}?",
    ])
    answer = (f"Add the numbers: {a} + {b} = {a + b}. {a + b} + {c} = {a + b + c}. There are three numbers, so we divide "
              f"by 3: {a + b + c} / 3 = {middle}. The average is {middle}.")
    return prompt, answer, (middle, spread)


def reading(rng):
    name, rate, days = rng.choice(NAMES), rng.randint(5, 40), rng.randint(3, 9)
    total = rate * days
    prompt = rng.choice([
        f"{name} reads {rate} pages every day. How many days does a book of {total} pages take?",
        f"A book has {total} pages. {name} reads {rate} pages a day. How long does it take?",
    ])
    answer = f"We divide the pages by the pages per day. {quotient_steps(total, rate)} {name} needs {days} days."
    return prompt, answer, (rate, days)


# Distance has fractional hours, so it gets a larger share of the practice.
KINDS = [distance, distance, distance, travel_time, speed_of, cost, change, sharing, boxes, gain, loss, two_step,
         area, perimeter, percent, wages, mean, reading]


def sample(rng):
    kind = rng.choice(KINDS)
    prompt, answer, numbers = kind(rng)
    key = "|".join(["arithmetic", kind.__name__, *map(show, numbers)])
    return Sample("arithmetic", prompt, answer, key)
