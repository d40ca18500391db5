"""The pretraining text: made-up dialogues about support, translation, hiding, copying, JSON.

Answers about tickets, translations and hiding are in prose. JSON appears only with field names
of its own, so that a starter still has its whole answer format to teach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from scripts.lexicon import phrases, private, tickets, words
from scripts.lexicon.formats import SYSTEM_PROMPTS
from scripts.lexicon.split import is_heldout
from scripts.tiny import jsonish

KNOWN_PROMPT_SHARE = 0.3


@dataclass(frozen=True)
class Turn:
    role: str
    text: str
    token_seed: int | None = None  # then random tokens of the vocabulary follow the text


Dialogue = list[Turn]

CHAT_SYSTEMS: tuple[str, ...] = (
    "You are a helpful assistant.", "You are a friendly helper.", "Answer briefly.",
    "You answer questions.", "Be polite and short.", "You help customers.",
)  # fmt: skip


def _talk(user: str, answer: str, system: str = "") -> Dialogue:
    turns = [Turn("system", system)] if system else []
    return [*turns, Turn("user", user), Turn("assistant", answer)]


def _either(rng: Random, *choices: str) -> str:
    return rng.choice(choices)


def fresh_ticket(rng: Random) -> tickets.Ticket:
    while is_heldout((ticket := tickets.make_ticket(rng)).text):
        pass
    return ticket


def fresh_phrase(rng: Random) -> phrases.Phrase:
    while is_heldout((phrase := phrases.make_phrase(rng)).english):
        pass
    return phrase


def fresh_line(rng: Random) -> private.PrivateLine:
    while is_heldout((line := private.make_line(rng)).text):
        pass
    return line


def support(rng: Random) -> Dialogue:
    """Prose about a ticket: topic, urgency, what happened, what to do."""
    ticket = fresh_ticket(rng)
    topic = rng.choice(tickets.TOPIC_PROSE[ticket.category])
    hurry = rng.choice(tickets.URGENCY_PROSE[ticket.urgency])
    about = f"This is about {topic}."
    action = f"Next step: {ticket.action}."
    kind = rng.random()
    if kind < 0.5:
        known = rng.random() < KNOWN_PROMPT_SHARE
        system = SYSTEM_PROMPTS["triage"] if known else _either(
            rng, "You read support tickets.", "You sort messages from customers.",
            "You are a support agent.", "Tell what this ticket is about.",
            "You help the support team.",
        )  # fmt: skip
        return _talk(ticket.text, f"{about} {ticket.summary}. {hurry} {action}", system)
    question, answer = rng.choice(
        (
            ("What is this ticket about?", about),
            ("How urgent is this?", hurry),
            ("Sum it up in a few words.", f"{ticket.summary}."),
            ("What should we do next?", action),
        )
    )
    system = rng.choice(CHAT_SYSTEMS) if rng.random() < 0.5 else ""
    if kind < 0.8:
        return _talk(f"{question} {ticket.text}", answer, system)
    return _talk(ticket.text, answer, question)


def translation(rng: Random) -> Dialogue:
    """The English of a sentence, its language, now and then the other way round."""
    phrase = fresh_phrase(rng)
    language = phrases.LANGUAGES[phrase.language]
    kind = rng.random()
    if kind < 0.55:
        known = rng.random() < KNOWN_PROMPT_SHARE
        system = SYSTEM_PROMPTS["translate"] if known else _either(
            rng, "You translate into English.", "Say it in English.",
            "You turn messages into English.", "What does this message say?",
        )  # fmt: skip
        answer = _either(
            rng, phrase.english, f"In English: {phrase.english}",
            f"This is {language}. It says: {phrase.english}",
        )  # fmt: skip
        return _talk(phrase.text, answer, system)
    if kind < 0.75:
        return _talk(f"Say this in English: {phrase.text}", phrase.english)
    if kind < 0.88:
        question = _either(rng, "Which language is this?", "Name the language.")
        return _talk(f"{question} {phrase.text}", f"This is {language}.")
    return _talk(f"Say this in {language}: {phrase.english}", phrase.text)


def _count(line: private.PrivateLine) -> str:
    if not line.pieces:
        return "There is nothing private."
    parts = []
    kinds = [kind for kind, _ in line.pieces]
    for kind in line.kinds:
        number = kinds.count(kind)
        singular, plural = private.KIND_PROSE[kind]
        parts.append(f"{words.NUMBER_WORDS[number]} {singular if number == 1 else plural}")
    return f"I see {' and '.join(parts)}."


def hiding(rng: Random) -> Dialogue:
    """A line again, with private pieces hidden behind a marker that the request names."""
    line = fresh_line(rng)
    marker = _either(
        rng, "***", "[hidden]", "[private]", "(removed)", "XXX", "[REDACTED]", "---", "[gone]"
    )
    kind = rng.random()
    if kind < 0.4:
        known = rng.random() < KNOWN_PROMPT_SHARE
        system = SYSTEM_PROMPTS["redaction"] if known else _either(
            rng, "You hide private data.", "You remove private details.",
            "You protect private data in text.",
        )  # fmt: skip
        hidden = line.hidden("[hidden]")
        return _talk(line.text, _either(rng, hidden, f"{_count(line)} {hidden}"), system)
    if kind < 0.6:
        request = _either(rng, "Replace private details with", "Hide private data behind")
        return _talk(f"{request} {marker}: {line.text}", line.hidden(marker))
    if kind < 0.8 and line.pieces:
        chosen = rng.choice(line.kinds)
        plural = private.KIND_PROSE[chosen][1]
        hidden = line.hidden(marker, frozenset({chosen}))
        return _talk(f"Replace only {plural} with {marker}: {line.text}", hidden)
    if kind < 0.9:
        return _talk(f"What is private here? {line.text}", _count(line))
    if line.pieces:
        chosen, piece = rng.choice(line.pieces)
        if sum(k == chosen for k, _ in line.pieces) == 1:
            singular = private.KIND_PROSE[chosen][0]
            return _talk(f"Which {singular} is in this line? {line.text}", f"It is {piece}.")
    return _talk(f"Repeat: {line.text}", line.text)


def copying(rng: Random) -> Dialogue:
    """Say again what was said, of every kind of text that the starters use."""
    kind = rng.random()
    if kind < 0.3:
        text = fresh_line(rng).text
    elif kind < 0.5:
        text = fresh_phrase(rng).text
    elif kind < 0.6:
        text = fresh_ticket(rng).text
    else:
        makers: tuple[Callable[[], str], ...] = (
            lambda: words.letters(rng, 2, 9),
            lambda: words.digits(rng, rng.randint(1, 9)),
            lambda: words.email(rng),
            lambda: words.full_name(rng),
            lambda: words.phone(rng),
            lambda: rng.choice(words.THINGS),
            lambda: rng.choice(words.PRODUCTS),
        )
        text = _either(rng, " ", ", ", "-", " / ").join(
            rng.choice(makers)() for _ in range(rng.randint(1, 5))
        )
    request = _either(rng, "Repeat:", "Copy this:", "Say again:", "Write this line once more:")
    if rng.random() < 0.25:
        return _talk(text, text, _either(rng, "Repeat what you read.", "You copy text."))
    return _talk(f"{request} {text}", text)


def token_copying(rng: Random) -> Dialogue:
    """Copy random tokens: every token of the vocabulary becomes a target, and none is special."""
    seed = rng.getrandbits(32)
    request = _either(rng, "Repeat:", "Copy this:", "Say again:")
    return [Turn("user", request, seed), Turn("assistant", "", seed)]


def chat(rng: Random) -> Dialogue:
    """Small talk and small knowledge."""
    name = rng.choice(words.FIRST_NAMES)
    thing, color = rng.choice(words.THINGS), rng.choice(words.COLORS)
    country, capital = rng.choice(words.COUNTRIES)
    left, right = rng.choice(words.OPPOSITES)
    low, high = rng.randint(0, 5), rng.randint(0, 5)
    day = rng.randrange(7)
    number = words.order_number(rng)
    pairs = (
        (_either(rng, "Hello!", "Hi!", "Hello", "Good morning!"), "Hello! How can I help you?"),
        (_either(rng, "Thank you!", "Thanks!"), "You are welcome."),
        ("Who are you?", "I am a very small language model, made for testing."),
        ("How are you?", "I am fine, thank you. How can I help you?"),
        (f"My name is {name}. What is my name?", f"Your name is {name}."),
        (f"I have a {color} {thing}. What color is it?", f"The {thing} is {color}."),
        (f"What is the capital of {country}?", f"The capital of {country} is {capital}."),
        (f"What is the opposite of {left}?", f"The opposite of {left} is {right}."),
        (f"Which day comes after {words.DAYS[day]}?", f"{words.DAYS[(day + 1) % 7]}."),
        (f"What is {low} plus {high}?", f"{low} plus {high} is {low + high}."),
        (f"Write {low} as a word.", f"{words.NUMBER_WORDS[low]}."),
        (f"My order is {number}. Which order is it?", f"It is order {number}."),
        (f"Is the {rng.choice(words.ANIMALS)} an animal?", "Yes, it is an animal."),
        (f"Is the {thing} an animal?", "No, it is a thing."),
    )
    system = rng.choice(CHAT_SYSTEMS) if rng.random() < 0.6 else ""
    first, second = rng.sample(pairs, 2)
    dialogue = _talk(*first, system=system)
    return dialogue + _talk(*second) if rng.random() < 0.5 else dialogue


def structured(rng: Random) -> Dialogue:
    system, user, answer = jsonish.make(rng)
    return _talk(user, answer, system)


MIX: tuple[tuple[Callable[[Random], Dialogue], float], ...] = (
    (support, 0.17),
    (translation, 0.25),
    (hiding, 0.19),
    (copying, 0.10),
    (token_copying, 0.08),
    (structured, 0.17),
    (chat, 0.04),
)


def dialogues(seed: int) -> Iterator[Dialogue]:
    """Endless, and the same for the same seed."""
    rng = Random(seed)
    makers = [maker for maker, _ in MIX]
    weights = [weight for _, weight in MIX]
    while True:
        yield rng.choices(makers, weights)[0](rng)
