"""Lines that carry private details (e-mail, phone, name, card, network address), and their
hidden form."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from scripts.lexicon import words

MAKERS: dict[str, Callable[[Random], str]] = {
    "EMAIL": words.email,
    "PHONE": words.phone,
    "NAME": words.full_name,
    "CARD": words.card,
    "IP": words.ip,
}
KIND_PROSE: dict[str, tuple[str, str]] = {
    "EMAIL": ("e-mail address", "e-mail addresses"),
    "PHONE": ("phone number", "phone numbers"),
    "NAME": ("name", "names"),
    "CARD": ("card number", "card numbers"),
    "IP": ("network address", "network addresses"),
}

# Upper-case slots are private. Lower-case slots look similar and must stay.
TEMPLATES: tuple[str, ...] = tuple(
    line.strip()
    for line in """
    Please write to {EMAIL} about order {order}.
    Please send the invoice to {EMAIL} before {date}.
    My e-mail address is {EMAIL} and my order is {order}.
    You can reach me at {PHONE} after {clock}.
    Call me at {PHONE} or write to {EMAIL}.
    Call {NAME} at {PHONE} about order {order}.
    {NAME} wants to return the {thing} from order {order}.
    {NAME} lives in {city} and can be reached at {EMAIL}.
    {NAME} and {NAME} share one {product} account.
    The card {CARD} was charged twice on {date}.
    Please charge {CARD} for order {order}.
    {NAME} paid with card {CARD} on {date}.
    The login came from {IP} at {clock}.
    We saw {order} tries from {IP} on {date}.
    User {EMAIL} signed in from {IP}.
    Block {IP} and tell {NAME} about it.
    Please change my e-mail from {EMAIL} to {EMAIL}.
    My old number was {PHONE}, my new one is {PHONE}.
    Ask {NAME} from {company} to write to {EMAIL}.
    {company} sent the {thing} to {city} on {date}.
    Order {order} was sent to {city} at {clock}.
    The {color} {thing} costs {order} and comes from {city}.
    {product} version {version} was released on {date}.
    The meeting in {city} starts at {clock} on {day}.
    Invoice {order} is for {NAME}, {city}.
    Send a copy to {EMAIL} and to {EMAIL}.
    Our driver {NAME} will call from {PHONE} at {clock}.
    {NAME} ({EMAIL}) asked about the {color} {thing}.
    The {thing} is for {NAME}, phone {PHONE}.
    Reply to {EMAIL}, not to the old address.
    On {day} {NAME} signed in to {product} from {IP}.
    I am {NAME}, my card is {CARD}.
    I am {NAME} from {city}, please call {PHONE}.
    Hello, this is {NAME}, order {order} has not arrived.
    The {product} account of {NAME} is locked.
    Contact {NAME} at {EMAIL} or {PHONE}.
    Refund card {CARD}, order {order}, by {day}.
    Server {IP} sent a mail to {EMAIL} at {clock}.
    Please add {EMAIL} to the {product} team.
    Remove {EMAIL} from the list on {date}.
    The parcel {order} is waiting in {city} for {NAME}.
    We could not reach {PHONE} on {day} at {clock}.
    {NAME} bought a {color} {thing} for the office in {city}.
    Ticket {order}: {NAME} cannot open {product}.
    Ticket {order}: mail to {EMAIL} came back.
    Thanks for the {color} {thing}, it arrived on {day}.
    Ask for {NAME} when you call {PHONE}.
    The code for {product} was sent to {PHONE}.
    From {EMAIL}: the {thing} is broken.
    Two orders, {order} and {order}, go to {city}.
    """.strip().splitlines()
)


@dataclass(frozen=True)
class PrivateLine:
    text: str
    pieces: tuple[tuple[str, str], ...]  # (kind, what to hide), in order

    def hidden(self, marker: str, kinds: frozenset[str] | None = None) -> str:
        """The line with every private piece (of these kinds) replaced by the marker."""
        result, rest = [], self.text
        for kind, piece in self.pieces:
            before, rest = rest.split(piece, 1)
            result += [before, marker if kinds is None or kind in kinds else piece]
        return "".join([*result, rest])

    @property
    def kinds(self) -> list[str]:
        """The kinds found, each once, in order of first appearance."""
        return list(dict.fromkeys(kind for kind, _ in self.pieces))


def make_line(rng: Random) -> PrivateLine:
    template = rng.choice(TEMPLATES)
    plain: dict[str, Callable[[], str]] = {
        "order": lambda: words.order_number(rng),
        "date": lambda: words.date(rng),
        "clock": lambda: words.clock(rng),
        "day": lambda: rng.choice(words.DAYS),
        "city": lambda: rng.choice(words.CITIES),
        "thing": lambda: rng.choice(words.THINGS),
        "color": lambda: rng.choice(words.COLORS),
        "company": lambda: rng.choice(words.COMPANIES),
        "product": lambda: rng.choice(words.PRODUCTS),
        "version": lambda: f"{rng.randint(1, 9)}.{rng.randint(0, 9)}",
    }
    pieces: list[tuple[str, str]] = []

    def fill(match: re.Match[str]) -> str:
        slot = match[1]
        if slot in plain:
            return plain[slot]()
        piece = MAKERS[slot](rng)
        pieces.append((slot, piece))
        return piece

    text = re.sub(r"\{(\w+)\}", fill, template)
    return PrivateLine(text, tuple(pieces))
