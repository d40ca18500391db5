"""The raw bytes that a program writes to its terminal, taken apart by a grammar that lets only
harmless text through and names every sequence."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable

from tests.e2e.test_app import Screen
from tests.support.amounts import patience
from tests.support.hostile_payloads import forbidden

_DEADLINE = patience(60)  # seconds until a screen that does not come is a failure
# what ECMA-48 calls control sequences and strings, and a plain escape; each is named by its shape
_SEQUENCE = re.compile(
    r"\x1b\[(?P<csi>[0-?]*[ -/]*[@-~])"
    r"|\x1b\](?P<osc>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    r"|\x1b(?P<esc>[ -/]*[0-Z\\^-~])"
)
_BARE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")


def shapes(raw: bytes) -> tuple[Counter[str], list[str], set[str]]:
    """Which sequences there are (numbers as N, strings by their command), what the operating system
    commands say, and what is neither a sequence nor harmless text.

    A byte that is no UTF-8, such as C1 in eight bits, is an error.
    """
    text = raw.decode("utf-8")
    found: Counter[str] = Counter()
    said: list[str] = []
    rest: list[str] = []
    end = 0
    for match in _SEQUENCE.finditer(text):
        rest.append(text[end : match.start()])
        end = match.end()
        if (csi := match["csi"]) is not None:
            found["CSI " + re.sub(r"[0-9]+", "N", re.sub(r"[0-9;:]+(?=m$)", "N", csi))] += 1
        elif (osc := match["osc"]) is not None:
            found[f"OSC {osc.partition(';')[0]}"] += 1
            said.append(osc)
        else:
            found[f"ESC {match['esc']}"] += 1
    rest.append(text[end:])
    # the line discipline of a terminal makes CR LF of each LF; progress bars write CR alone
    left = re.sub(r"\r+\n", "\n", "".join(rest))
    if "\r" in left:
        found["CR"] += 1
    return found, said, forbidden(left.replace("\r", ""))


class RawTerminal(Screen):
    """A program in a pty. ``emulated`` can be switched off for what no emulator keeps up with; only
    the bytes are kept then."""

    def __init__(self, columns: int, rows: int, *arguments: str) -> None:
        super().__init__(columns, rows, arguments)
        self.emulated = True
        self.mark = 0

    def _read(self, seconds: float) -> bool:
        came = super()._read(seconds)
        if not self.emulated:
            self._unseen = b""
        return came

    def press(self, keys: str) -> None:
        self.mark = len(self.raw)
        super().press(keys)

    @property
    def fresh(self) -> str:
        """What was written since the last key, without its sequences."""
        return self.since(self.mark)

    def since(self, place: int) -> str:
        """What was written from a place on, without its sequences."""
        return _BARE.sub("", self.raw[place:].decode("utf-8", "replace"))

    def wait(self, reached: Callable[[], object], what: str) -> None:
        """Read until this is so."""
        end = time.monotonic() + _DEADLINE
        while not reached():
            left = end - time.monotonic()
            shown = self.text if self.emulated else self.fresh[-3000:]
            assert left > 0, f"{what} did not come:\n{shown}"
            if not self._read(min(left, 1.0)) and self.process.poll() is not None:
                raise AssertionError(f"it ended before {what}:\n{shown}")

    def show(self, keys: str, pattern: str) -> None:
        """Press keys, and read until the screen shows this."""
        self.press(keys)
        self.wait(lambda: re.search(pattern, self.text), repr(pattern))

    def leave(self, pattern: str, keys: str = "\x1b") -> None:
        """Once all of this is shown, press keys, and read until the screen shows it no more."""
        self.until(pattern)
        self.press(keys)
        self.wait(lambda: not re.search(pattern, self.text), f"the end of {pattern!r}")

    def page(self, keys: str, pattern: str) -> str:
        """Press keys, and read until this has been written, without emulating."""
        self.press(keys)
        self.wait(lambda: re.search(pattern, self.fresh), repr(pattern))
        return self.fresh
