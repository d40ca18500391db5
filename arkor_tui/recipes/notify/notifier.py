"""What every notifier does; a service adds only how a message reaches it."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self, Unpack

from arkor_tui.api.reconnect import StreamState
from arkor_tui.config.settings import read_settings, settings_path
from arkor_tui.errors import UsageError
from arkor_tui.run.callbacks import Callback, RunHandle
from arkor_tui.run.contexts import CompletedContext, Context, FailedContext, LogContext
from arkor_tui.run.findings import Finding

from . import message as texts
from .delivery import Attempt, Clock, Send, try_once
from .destination import Destination
from .message import Message, Progress
from .options import Options, Wishes
from .outbox import Outbox
from .watch import ConnectionWatch

log = logging.getLogger(__name__)

GRACE_SECONDS = 5.0
"""How far the clocks of this machine and the backend may be apart."""


class Notifier(Callback):
    """Tells people how a run goes, once each and never in the way of the run.

    Make one with :meth:`from_env` or :meth:`from_settings`; without an address it does nothing.
    Messages go out in order beside the run, and whatever becomes of them is kept with the run as a
    finding of kind ``notice``. Nothing here raises once the run has begun.
    """

    service: ClassVar[str]
    """The service's name before people; in lower case it is the one in archives and settings."""
    default_env: ClassVar[str]
    """The environment variable that holds the address where no other is named."""

    def __init__(self, destination: Destination | None, **options: Unpack[Options]) -> None:
        self.destination = destination
        self.wishes = Wishes(**options)
        self.clock = Clock()
        self._run: RunHandle | None = None
        self._outbox: Outbox | None = None
        self._watch: ConnectionWatch | None = None
        self._attached_at = 0.0
        self._progress = Progress()
        self._steps_told = 0
        self._guard_reason: str | None = None
        self._looked_back = False

    @classmethod
    def from_env(
        cls,
        name: str | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """With the address in an environment variable (``default_env``); unset, it does nothing.

        Raises:
            UsageError: what is there is no address, or an option cannot be used.
        """
        variable = name or cls.default_env
        value = (os.environ if environ is None else environ).get(variable, "").strip()
        return cls(cls.destination_at(value, variable) if value else None, **options)

    @classmethod
    def from_settings(cls, path: Path | None = None, **options: Unpack[Options]) -> Self:
        """With the address in the ``[notify]`` table of the settings file; unset, it does nothing.

        Raises:
            UsageError: other people can read the file, or what is there is no address.
            SettingsError: the settings file is wrong.
        """
        table, key = read_settings(path).notify, cls.service.lower()
        value = table.address(key)
        if value is None:
            return cls(None, **options)
        file = settings_path() if path is None else path
        if not table.is_private:
            raise UsageError(
                f"Other people of this machine can read {file}, and with the address in it they "
                "could post in your name.",
                hint=f"Run `chmod 600 {file}`. If the address may have been read, make a new one.",
            )
        return cls(cls.destination_at(value, f"{file} (notify.{key})"), **options)

    @classmethod
    def destination_at(cls, url: str, source: str) -> Destination:
        """The checked address; ``source`` says where it was found.

        Raises:
            UsageError: it cannot be used; the message does not hold it.
        """
        return Destination.web(cls.service, url, source)

    @property
    def is_enabled(self) -> bool:
        """Whether there is anywhere to send to."""
        return self.destination is not None

    @property
    def label(self) -> str:
        """The destination, masked, for people."""
        return self.destination.label if self.destination else f"{self.service} (no address)"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"

    @abstractmethod
    def session(self) -> AbstractAsyncContextManager[Send]:
        """Open what sending needs, for some messages in a row; gives one try at one message."""

    def attached(self, run: RunHandle) -> None:
        """Begin to watch a run."""
        self._run, self._attached_at = run, self.clock.now()
        self._progress, self._steps_told, self._guard_reason = Progress(), 0, None
        if not self.is_enabled:
            return
        outbox = Outbox(
            self.session,
            begin=lambda: run.background(outbox.work(), name=f"messages to {self.label}").done,
            claim=self._claim,
            tell=self._tell,
            clock=self.clock,
        )
        self._outbox = outbox
        seconds = 60.0 * self.wishes.connection_minutes
        self._watch = ConnectionWatch(run, self.clock, seconds, self._connection_lost)

    def on_replayed(self, ctx: Context) -> None:
        """Learn how far the run was."""
        if isinstance(ctx, LogContext):
            self._advance(ctx)

    def on_log(self, ctx: LogContext) -> None:
        """Tell progress every ``every_steps`` steps."""
        if self._advance(ctx) and self._is_news(ctx.timestamp):
            self._put(texts.progress_of(ctx, self._progress))

    def on_completed(self, ctx: CompletedContext) -> None:
        """Tell that the run has ended well."""
        if self._is_news(ctx.timestamp):
            self._put(texts.completed(ctx, self._progress))
        self._end()

    def on_failed(self, ctx: FailedContext) -> None:
        """Tell that the run has failed, or was cancelled."""
        if self._is_news(ctx.timestamp):
            why = self._run.why_stopped if self._run else None
            reason = str(why) if why is not None else self._guard_reason
            mention = self.wishes.mention_on_failure
            self._put(texts.ended_badly(ctx, self._progress, reason, mention=mention))
        self._end()

    def on_finding(self, finding: Finding) -> None:
        """Tell that a guard stops the run, and what checkpoints answer."""
        run, found = self._run, None
        if run is None:
            return
        if finding.kind == "guard":
            found = texts.guard(finding, run.job, run.name, self._progress)
            if found is not None:
                self._guard_reason = found.reason
        elif finding.kind == "sample":
            found = texts.sample(finding, run.job, run.name, self._progress)
        if found is not None:
            self._put(found)

    def on_connection(self, state: StreamState) -> None:
        """Wait for a lost connection to come back."""
        if self._watch is not None and self.wishes.wants("connection"):
            self._watch.change(state)

    def _connection_lost(self, since: float, why: str) -> None:
        run = self._run
        assert run is not None
        began = self.clock.now() - (self.clock.monotonic() - since)
        self._put(
            texts.connection_lost(
                run.job,
                run.name,
                self._progress,
                minutes=self.wishes.connection_minutes,
                why=why,
                mark=datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
            )
        )

    def _advance(self, ctx: LogContext) -> bool:
        """Take in a log; whether it passed a step that progress is told of."""
        self._progress = self._progress.after(ctx)
        every = self.wishes.every_steps
        if every is None or ctx.step // every <= self._steps_told:
            return False
        self._steps_told = ctx.step // every
        return True

    def _is_news(self, timestamp: str | None) -> bool:
        """Whether something happened after this process began to watch, or nobody can say."""
        at = _seconds(timestamp)
        return at is None or at >= self._attached_at - GRACE_SECONDS

    def _put(self, message: Message) -> None:
        if not self.wishes.wants(message.event):
            return
        if self._outbox is not None:
            self._outbox.put(message)
        elif self._run is not None and not self._looked_back:
            self._looked_back = True
            self._run.background(self._look_back(message), name="look for an address")

    async def _look_back(self, message: Message) -> None:
        """No address is no mistake, unless the run lost the one that it had: then it is told."""
        assert self._run is not None
        if await self._run.was_marked(self._had_address):
            error = (
                "in the process that took the run up, so nothing is told any more: keep the "
                "address in the settings file, which every process reads"
            )
            await self._tell(message, Attempt(False, error))

    @property
    def _had_address(self) -> str:
        return f"notify:{self.service.lower()}:address"

    @property
    def _failed(self) -> str:
        return f"notify:{self.service.lower()}:failed"

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        if self._outbox is not None:
            self._outbox.end()

    async def _claim(self, message: Message) -> bool:
        """Whether nobody sent this message of this run to this destination before."""
        assert self._run is not None
        assert self.destination is not None
        mark = ":".join(
            ("notify", self.service.lower(), self.destination.id, message.event, message.id)
        )
        try:
            await self._run.first_time(self._had_address)
            return await self._run.first_time(mark)
        except Exception as error:
            # better told twice than never
            log.warning("cannot remember a message to %s: %s", self.label, type(error).__name__)
            return True

    async def _tell(self, message: Message, attempt: Attempt) -> None:
        """Keep with the run how it went."""
        assert self._run is not None
        error = None if attempt.ok else f"{self.label} {attempt.error}"
        notice: dict[str, Any] = {
            "service": self.service.lower(),
            "event": message.event,
            "ok": attempt.ok,
            "error": error,
        }
        try:
            if error is not None and await self._run.first_time(f"{self._failed}:{error}"):
                notice["first"] = True
                log.warning("%s. It is kept with the run, and not told again.", error)
            await self._run.keep(Finding("notice", type(self).__name__, message.step, notice))
        except Exception as broken:
            log.warning("cannot keep a notice about %s: %s", self.label, type(broken).__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a test, in words for people."""

    ok: bool
    text: str


async def send_test(notifier: Notifier) -> Outcome:
    """Send one test message, with one try of at most ten seconds; never raises."""
    if not notifier.is_enabled:
        return Outcome(False, f"{notifier.service} has no address yet.")

    async def send(message: Message) -> Attempt:
        async with notifier.session() as one:
            return await one(message)

    attempt = await try_once(send, texts.for_testing())
    if attempt.ok:
        return Outcome(True, f"{notifier.label} took the test message.")
    return Outcome(False, f"{notifier.label} {attempt.error}.")


def _seconds(timestamp: str | None) -> float | None:
    """Since the epoch; times without a zone are UTC."""
    if not timestamp:
        return None
    try:
        at = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
