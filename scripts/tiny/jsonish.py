"""JSON practice with made-up fields: follow a list of names and fill them from the message."""

from __future__ import annotations

from random import Random

from scripts.lexicon import phrases, private, tickets, words
from scripts.lexicon.formats import FORBIDDEN, compact
from scripts.lexicon.split import is_heldout

Value = str | int | bool | list[str]


def field_name(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(words.FIELDS)
    if kind < 0.75:
        first, second = rng.sample(words.FIELDS, 2)
        return first + second[0].upper() + second[1:]
    if kind < 0.85:
        return "_".join(rng.sample(words.FIELDS, 2))
    return words.letters(rng, 2, 8)


def _scalar(rng: Random) -> Value:
    kind = rng.random()
    if kind < 0.3:
        lists = (words.THINGS, words.COLORS, words.ANIMALS, words.CITIES, words.FIRST_NAMES,
                 words.DAYS, words.PRODUCTS)  # fmt: skip
        return rng.choice(rng.choice(lists))
    if kind < 0.45:
        return rng.randint(0, 99)
    if kind < 0.6:
        return f"{rng.choice(words.COLORS)} {rng.choice(words.THINGS)}"
    if kind < 0.7:
        return words.letters(rng, 2, 7)
    if kind < 0.8:
        return words.email(rng)
    if kind < 0.9:
        return words.full_name(rng)
    return rng.random() < 0.5


def _value(rng: Random) -> Value:
    if rng.random() < 0.2:
        pool = rng.choice((words.COLORS, words.THINGS, words.CITIES, words.ANIMALS))
        chosen = rng.sample(pool, rng.randint(0, 3))
        return [word.upper() for word in chosen] if rng.random() < 0.4 else chosen
    return _scalar(rng)


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " and ".join(value) if value else "none"
    return str(value)


def _listing(rng: Random) -> tuple[list[str], str, dict[str, Value]]:
    keys = list(dict.fromkeys(field_name(rng) for _ in range(rng.randint(1, 4))))
    facts: dict[str, Value] = {key: _value(rng) for key in keys}
    told = keys[:]
    rng.shuffle(told)
    joint, gap = rng.choice(((": ", "; "), (" is ", ", "), (" = ", "\n")))
    return keys, gap.join(f"{key}{joint}{_shown(facts[key])}" for key in told), facts


def _sentence(rng: Random) -> tuple[list[str], str, dict[str, Value]]:
    name, city = rng.choice(words.FIRST_NAMES), rng.choice(words.CITIES)
    color, thing = rng.choice(words.COLORS), rng.choice(words.THINGS)
    count, day = rng.randint(2, 9), rng.choice(words.DAYS)
    text = f"{name} from {city} bought {count} {color} items of the kind {thing} on {day}."
    facts: dict[str, Value] = {
        "name": name, "city": city, "color": color, "thing": thing, "count": count, "day": day,
    }  # fmt: skip
    keys = rng.sample(list(facts), rng.randint(1, 4))
    return keys, text, {key: facts[key] for key in keys}


def _task(rng: Random) -> tuple[list[str], str, dict[str, Value]]:
    """The starters' subjects under other names, with the meanings written in prose."""
    kind = rng.randrange(3)
    if kind == 0:
        while is_heldout((ticket := tickets.make_ticket(rng)).text):
            pass
        facts: dict[str, Value] = {
            "about": rng.choice(tickets.TOPIC_PROSE[ticket.category]),
            "problem": ticket.summary,
            "solution": ticket.action,
            "hurry": rng.choice(tickets.URGENCY_PROSE[ticket.urgency]),
        }
        text = ticket.text
    elif kind == 1:
        while is_heldout((phrase := phrases.make_phrase(rng)).english):
            pass
        facts = {"english": phrase.english, "language": phrases.LANGUAGES[phrase.language]}
        text = phrase.text
    else:
        while is_heldout((line := private.make_line(rng)).text):
            pass
        facts = {
            "line": line.hidden("***"),
            "amount": len(line.pieces),
            "found": [private.KIND_PROSE[found][0] for found in line.kinds],
        }
        text = line.text
    keys = rng.sample(list(facts), rng.randint(1, min(3, len(facts))))
    return keys, text, {key: facts[key] for key in keys}


def make(rng: Random) -> tuple[str, str, str]:
    """System prompt, user message, answer."""
    kind = rng.random()
    while True:
        maker = _listing if kind < 0.55 else _sentence if kind < 0.7 else _task
        keys, text, facts = maker(rng)
        if frozenset(keys) not in FORBIDDEN:
            break
    named = ", ".join(f'"{key}"' for key in keys) if rng.random() < 0.5 else ", ".join(keys)
    request = rng.choice(
        (
            f"Reply with JSON. Fields: {named}.",
            f"Answer as a JSON object with the fields {named}.",
            f"JSON only: {named}",
        )
    )
    answer = compact({key: facts[key] for key in keys})
    if rng.random() < 0.25:
        return "", f"{request} {text}", answer
    return request, text, answer
