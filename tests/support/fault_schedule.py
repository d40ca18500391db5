"""What goes wrong, drawn from a seed: on the server's side, on the way, and in our own process."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

IDS = ("counter", "gaps", "iso", "opaque", "none", "mixed")
ENDINGS = ("completed", "failed", "silent")
LINE_ENDS = (b"\n", b"\r\n", b"\r")
REFUSALS = (302, 400, 404, 408, 429, 500, 502, 503)
"""Answers to the opening of a stream that may be better next time."""

Do = Literal["cut", "reset", "silence", "pause", "split", "garble"]
"""``cut`` closes in order, ``reset`` does not, ``silence`` keeps the connection and sends nothing
more, ``pause`` goes on after a while, ``split`` sends single bytes, and ``garble`` changes a byte
where HTTP itself must notice: in the head or in a chunk's size."""


@dataclass(frozen=True)
class Fault:
    """``at`` counts the bytes of the answer; ``amount`` is seconds, bytes, or a draw below 256."""

    at: int
    do: Do
    amount: int = 0


@dataclass(frozen=True)
class Smudge:
    """Which byte of a chunk becomes another one: of its JSON, or any. ``draw`` says which."""

    draw: int
    json_only: bool


@dataclass(frozen=True)
class Passage:
    """The way of one connection. Without faults it is a clean one.

    ``refused``: nobody listens. ``forgets``: the request loses its ``Last-Event-ID``. ``stale``: it
    gets that of an earlier request. ``again``: so many frames of before come first. ``smudges``: in
    the n-th chunk, a byte of the frame's JSON, or any byte of it, is another one; nothing in HTTP
    says so.
    """

    faults: tuple[Fault, ...] = ()
    refused: bool = False
    forgets: bool = False
    stale: bool = False
    again: int = 0
    smudges: tuple[tuple[int, Smudge], ...] = ()

    @property
    def garbles(self) -> bool:
        """Whether what arrives may be anything."""
        return any(fault.do == "garble" for fault in self.faults)


@dataclass(frozen=True)
class Manner:
    """How the server answers one opening.

    ``events`` are sent before the body ends (None: all of them, and ``end``), ``deaf`` means from
    the start whatever was asked for, ``doubled`` each frame twice, ``odd`` how many of a hundred
    frames have something odd ahead of them, ``group`` how many frames are one piece.
    """

    kind: Literal["events", "status", "nothing", "pings", "garbage", "html"] = "events"
    status: int = 200
    events: int | None = None
    deaf: bool = False
    doubled: bool = False
    odd: int = 0
    group: int = 1
    eol: bytes = b"\n"
    bom: bool = False


@dataclass(frozen=True)
class Schedule:
    """All that happens to one run.

    ``restarts`` are events after which our process is replaced. ``recipes``: whether it has
    callbacks; the app has none.
    """

    seed: int
    events: int
    ids: str
    ending: str
    connections: tuple[tuple[Manner, Passage], ...]
    restarts: tuple[int, ...] = ()
    recipes: bool = True


CLEAN = (Manner(), Passage())


def draw(seed: int) -> Schedule:
    """The schedule of a seed."""
    rng = random.Random(seed)
    ids = rng.choice(IDS)
    events = rng.randint(100, 300)
    again = may_double(ids)
    connections = [_connection(rng, events, again) for _ in range(rng.randint(3, 12))]
    if rng.random() < 0.1:
        outage = [(Manner(), Passage(refused=True))] * rng.randint(5, 12)
        connections[1:1] = outage
    return Schedule(
        seed=seed,
        events=events,
        ids=ids,
        ending=rng.choice(ENDINGS),
        connections=tuple(connections),
        restarts=tuple(sorted(rng.sample(range(1, events), rng.choice((0, 0, 0, 1, 2))))),
        recipes=rng.random() < 0.85,
    )


def may_double(ids: str) -> bool:
    """Whether events may come again where nobody can know them again.

    Without an id, twice the same in one connection is two events, and after an id that was not
    asked for it is another one: the archive still has it once, a callback hears of it twice.
    """
    return ids not in ("none", "mixed")


def _connection(rng: random.Random, events: int, again: bool) -> tuple[Manner, Passage]:
    manner, passage = _manner(rng, events, again), _passage(rng, events, again)
    if passage.again or passage.garbles:  # a mark would no longer stand at the very beginning
        manner = replace(manner, bom=False)
    return manner, passage


def _manner(rng: random.Random, events: int, again: bool) -> Manner:
    kind = rng.choices(
        ("events", "status", "nothing", "pings", "garbage", "html"), (80, 8, 3, 3, 3, 3)
    )[0]
    return Manner(
        kind=kind,  # type: ignore[arg-type]
        status=rng.choice(REFUSALS),
        events=rng.choice((None, None, rng.randint(0, events // 2))),
        deaf=rng.random() < 0.15,
        doubled=again and rng.random() < 0.1,
        odd=rng.choice((0, 0, 5, 40)),
        group=rng.choice((1, 3, 7, 20, 100)),
        eol=rng.choice(LINE_ENDS),
        bom=rng.random() < 0.1,
    )


def _passage(rng: random.Random, events: int, again: bool) -> Passage:
    faults = []
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = int(rng.choice((200, 2_000, 50 * events)) * rng.random())
        do: Do = rng.choices(
            ("cut", "reset", "silence", "pause", "split", "garble"), (25, 25, 10, 15, 15, 10)
        )[0]  # type: ignore[assignment]
        amount = {"pause": rng.randint(1, 44), "split": rng.randint(1, 60)}.get(
            do, rng.randint(1, 255)
        )
        faults.append(Fault(at, do, amount))
    return Passage(
        faults=tuple(sorted(faults, key=lambda fault: fault.at)),
        refused=rng.random() < 0.05,
        forgets=rng.random() < 0.1,
        stale=rng.random() < 0.1 and again,
        again=rng.choice((0, 0, 0, rng.randint(1, 30))) if again else 0,
    )
