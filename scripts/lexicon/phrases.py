"""Short customer sentences in English and nine other languages, composed from parallel parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from scripts.lexicon import words

LANGUAGES: dict[str, str] = {
    "ja": "Japanese",
    "zh": "Chinese",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "pl": "Polish",
}
TABLES = Path(__file__).parent / "tables"
CODES: tuple[str, ...] = tuple(LANGUAGES)


def _rows(table: str) -> list[list[str]]:
    lines = (TABLES / f"{table}.txt").read_text(encoding="utf-8").splitlines()
    rows = [[c.strip() for c in line.split("|")] for line in lines if not line.startswith("#")]
    assert len({len(row) for row in rows}) == 1
    return rows


NOUNS = {row[0]: dict(zip(CODES, row[1:], strict=True)) for row in _rows("nouns")}
FRAMES = [
    (row[0], row[1].split(), dict(zip(CODES, row[2:], strict=True))) for row in _rows("frames")
]
DAYS = [(row[0], dict(zip(CODES, row[1:], strict=True))) for row in _rows("days")]
GREETINGS = [(row[0], dict(zip(CODES, row[1:], strict=True))) for row in _rows("greetings")]
TAILS = [(row[0], dict(zip(CODES, row[1:], strict=True))) for row in _rows("tails")]
_COMMA = {"ja": "、", "zh": "，"}


@dataclass(frozen=True)
class Phrase:
    english: str
    language: str  # a code of LANGUAGES
    text: str


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str, language: str) -> str:
    """Start a sentence after a greeting; nouns and "I" keep their capital."""
    if language == "en":
        return text if text.startswith("I ") else text[:1].lower() + text[1:]
    return text[:1].lower() + text[1:]


def _noun(noun: str, language: str, case: str) -> str:
    forms = NOUNS[noun][language].split("/")
    return forms[min("sog".index(case), len(forms) - 1)]


def make_phrase(rng: Random, language: str | None = None) -> Phrase:
    """One sentence with its English; the choice of words does not depend on the language."""
    frame, nouns, forms = rng.choice(FRAMES) if rng.random() < 0.85 else rng.choice(FRAMES[15:19])
    noun = rng.choice(nouns)
    day, day_forms = rng.choice(DAYS)
    number = words.order_number(rng)
    code = language or rng.choice(CODES)

    english = frame.format(s=noun, o=noun, n=number, t=day)
    text = forms[code]
    if noun != "-":
        subject = _noun(noun, code, "s")
        text = text.format(
            s=subject, S=_upper(subject), o=_noun(noun, code, "o"), g=_noun(noun, code, "g"),
            t=day_forms[code], n=number,
        )  # fmt: skip
    else:
        text = text.format(n=number)

    comma = _COMMA.get(code, ", ")
    question = frame.endswith("?")
    if not question and rng.random() < 0.35:
        tail, tail_forms = rng.choice(TAILS)
        english = f"{english[:-1]}, {tail}."
        stop = text[-1]
        text = f"{text[:-1]}{comma}{tail_forms[code]}{stop}"
    if rng.random() < 0.6:
        greeting, greeting_forms = rng.choice(GREETINGS)
        opening = greeting_forms[code]
        if rng.random() < 0.5:
            name = rng.choice(words.FIRST_NAMES)
            greeting = f"{greeting} {name}"
            opening = f"{opening} {name}" + ("さん" if code == "ja" else "")
        english = f"{greeting}, {_lower(english, 'en')}"
        text = f"{opening}{comma}{_lower(text, code)}"
    return Phrase(english, code, text)
