"""How much of what is drawn from seeds, and how patient a wait is: more at night, more when busy.

``make nightly`` sets ``ARKOR_TUI_TEST_NIGHTLY``; each amount has a variable of its own besides.
"""

from __future__ import annotations

import os
import time

from hypothesis import HealthCheck, settings

NIGHTLY = bool(os.environ.get("ARKOR_TUI_TEST_NIGHTLY"))
_PROBE = 200_000  # turns of an empty loop
_REFERENCE = 0.004  # seconds that they take where nothing else runs
_LONGEST = 8.0


def amount(name: str, usual: int, nightly: int) -> int:
    """Say how many ``ARKOR_TUI_TEST_<name>`` asks for, or the usual number."""
    return int(os.environ.get(f"ARKOR_TUI_TEST_{name}", nightly if NIGHTLY else usual))


def examples(usual: int) -> int:
    """Say how many examples of a property: ten times as many at night."""
    return usual * (10 if NIGHTLY else 1)


def patience(seconds: float) -> float:
    """Stretch a deadline by what this machine is slower than an idle one of today.

    A deadline only ends a test that would hang; it never decides one that gets on. So it is long
    on any machine, and longer on one that was busy when the tests began.
    """
    return seconds * SLOWNESS


def _slowness() -> float:
    """Measure the worst of a few moments; ``ARKOR_TUI_TEST_PATIENCE`` replaces it."""
    if given := os.environ.get("ARKOR_TUI_TEST_PATIENCE"):
        return max(1.0, float(given))
    worst = 0.0
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(_PROBE):
            pass
        worst = max(worst, time.perf_counter() - begin)
    # others may come later: never less than twice what it takes now
    return min(_LONGEST, 2 * max(1.0, worst / _REFERENCE))


SLOWNESS = _slowness()


def load_profile() -> None:
    """Draw the same examples each time on every machine; new ones at night."""
    settings.register_profile(
        "usual",
        derandomize=not NIGHTLY,
        deadline=None,  # however busy the machine is
        max_examples=examples(100),
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("usual")
