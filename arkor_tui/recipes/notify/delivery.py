"""Trying to deliver one message, with patience that ends."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from arkor_tui.config.network import NetworkSettingsError

from .message import Message

TRIES = 4
TRY_SECONDS = 10.0
TOTAL_SECONDS = 60.0
"""For one message, tries and pauses together."""
FIRST_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from: ``monotonic`` and ``now`` (since the epoch) in seconds."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one try came to.

    ``error`` follows the destination's name in a sentence; ``retry`` is whether another try can
    help, ``after`` how many seconds the other side wants to be left alone first.
    """

    ok: bool
    error: str | None = None
    retry: bool = False
    after: float | None = None


Send = Callable[[Message], Awaitable[Attempt]]


async def deliver(
    send: Send,
    message: Message,
    *,
    clock: Clock,
    deadline: Callable[[], float],
    tries: int = TRIES,
) -> Attempt:
    """Try until it worked, cannot work, or there is no time left; the last attempt.

    ``deadline`` is a time of ``clock.monotonic`` and may come nearer meanwhile. The first try is
    made in any case.
    """
    for number in range(1, tries + 1):
        attempt = await try_once(send, message)
        if attempt.ok or not attempt.retry or number == tries:
            break
        pause = FIRST_PAUSE * 2 ** (number - 1) if attempt.after is None else attempt.after
        if clock.monotonic() + pause >= deadline():
            break
        await clock.sleep(pause)
    return attempt


async def try_once(send: Send, message: Message) -> Attempt:
    """One try, which never raises and takes at most ``TRY_SECONDS``."""
    try:
        async with asyncio.timeout(TRY_SECONDS):
            return await send(message)
    except TimeoutError:
        return Attempt(False, f"did not answer within {TRY_SECONDS:g} s", retry=True)
    except Exception as error:
        return unusable(error)


def unusable(error: Exception) -> Attempt:
    """Tell why nothing can be sent at all, in words of ours: others may hold the address."""
    if isinstance(error, NetworkSettingsError):
        words = f"{error.message} {error.hint or ''}".strip().rstrip(".")
        return Attempt(False, f"cannot be used: {words}")
    return Attempt(False, f"could not be used: {type(error).__name__}")


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds of a ``Retry-After`` header, which is a number or a date; None for neither."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
