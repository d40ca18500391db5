"""Supervisors as others see them: starting one, stopping it, and who hosts which run."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import LIVE_STATUSES, RunQuery, RunRecord
from arkor_tui.config.run_lock import HostState, read_host
from arkor_tui.errors import ArkorTuiError

from .updates import Problem, Update

# What loads trainer files and talks to backends is imported when it is needed.
if TYPE_CHECKING:
    from .monitor import RunMonitor

_LEAVE_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.05
_TAIL_BYTES = 100_000


class SupervisorError(ArkorTuiError):
    """The process that should host the recipes of a run did not start."""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """A process that hosts so many callbacks of a run."""

    pid: int
    callbacks: int


async def start_supervisor(record: RunRecord, archive: Path) -> Supervisor:
    """Hand a run to a process of its own, which outlives this one.

    Raises:
        AlreadyHostedError: another process hosts its recipes.
        SupervisorError: it did not start; the message holds what it said.
    """
    from arkor_tui.connect.detached import start_detached

    from .recipe_host import AlreadyHostedError, lock_path_of

    path = lock_path_of(record)
    log = path.with_suffix(".log")
    folder = Path(record.trainer_file).parent if record.trainer_file else Path.home()
    started = await start_detached(
        ("supervise", str(record.key), "--archive", str(archive)),
        log=log,
        cwd=folder if folder.is_dir() else Path("/"),
    )
    if (told := started.told("supervising")) is not None:
        return Supervisor(started.pid, int(told["callbacks"]))
    if not started.has_ended:
        raise SupervisorError("The supervisor does not get ready.", hint=f"Its log is {log}.")
    state = await asyncio.to_thread(read_host, path)
    if state is not None:
        raise AlreadyHostedError(state)
    why = await asyncio.to_thread(started.why)
    raise SupervisorError(f"The supervisor did not start: {why}", hint=f"Its log is {log}.")


async def stop_supervisor(record: RunRecord) -> bool:
    """Ask the process that hosts a run's recipes to leave, and wait until it has.

    The run goes on. False where it did not leave in time, or is no supervisor.
    """
    state = await asyncio.to_thread(host_of, record)
    if state is None:
        return True
    if state.kind != "supervisor" or state.pid <= 0:
        return False
    with suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGTERM)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LEAVE_SECONDS
    while loop.time() < deadline:
        if await asyncio.to_thread(host_of, record) is None:
            return True
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    return False


def host_of(record: RunRecord) -> HostState | None:
    """Which process hosts the recipes of a run, and how it stands; None where none does."""
    from .recipe_host import lock_path_of

    return read_host(lock_path_of(record))


class Supervision:
    """Hands runs to supervisors, finds out who hosts what, and starts anew what was lost."""

    def __init__(self, archive: AsyncArchive) -> None:
        self._archive = archive
        self._starting: set[int] = set()

    async def hand_over(
        self, monitor: RunMonitor, count: int, recipe_source: str | None = None
    ) -> None:
        """Give the ``count`` callbacks of a run that was just submitted to a supervisor.

        A failure ends up among the monitor's problems.
        """
        from arkor_tui.config.atomic import write_private

        from .recipe_host import lock_path_of

        record, key = monitor.record, monitor.key
        assert record is not None
        self._starting.add(key)
        try:
            if recipe_source is not None:
                file = lock_path_of(record).with_suffix(".py")
                await asyncio.to_thread(write_private, file, recipe_source)
            await self._archive.write(lambda a: a.set_recipes(key, count, record.trainer_file))
            await self.start(record)
        except (ArkorTuiError, OSError) as error:
            problem = Problem.of(error)
            monitor.tell_problem(
                Problem(
                    f"Guards, probes and notifications of this run do not work: {problem.message}",
                    problem.hint or "Press w to start them again.",
                )
            )
        finally:
            self._starting.discard(key)
        monitor.tell(Update())

    async def start(self, record: RunRecord) -> Supervisor:
        """Start a supervisor for a run whose recipes nobody hosts.

        Raises:
            AlreadyHostedError: somebody does.
            SupervisorError: it did not start.
        """
        key = record.key
        self._starting.add(key)  # whoever looks for lost runs meanwhile leaves it alone
        try:
            started = await start_supervisor(record, self._archive.path)
        finally:
            self._starting.discard(key)
        count = started.callbacks
        await self._archive.write(lambda a: a.set_recipes(key, count, None))
        return started

    async def stop(self, record: RunRecord) -> bool:
        """End the supervisor of a run, which goes on; False where it is not ours to end."""
        stopped = await stop_supervisor(record)
        if stopped:
            await self._archive.write(lambda a: a.set_recipes(record.key, 0, None))
        return stopped

    async def host(self, record: RunRecord) -> HostState | None:
        """Which process hosts the recipes of a run; None where none does."""
        return await asyncio.to_thread(host_of, record)

    async def lost(self, backend: str) -> list[RunRecord]:
        """Live runs of a backend whose recipes nobody hosts any more: after a reboot, say.

        Without those whose recipes are in no file: the callbacks of a script that was killed cannot
        be loaded by anybody else.
        """
        live = RunQuery(statuses=LIVE_STATUSES, backend=backend)
        runs = await self._archive.read(lambda a: a.runs(live, limit=50))
        hosted = [run for run in runs if run.recipes and run.key not in self._starting]
        return [run for run in hosted if await asyncio.to_thread(_is_lost, run)]

    async def recalled(self, record: RunRecord) -> dict[str, str]:
        """The guards, prompts and notifications of a run as they were typed into the form."""
        from arkor_tui.run.draft_source import recall

        from .recipe_host import lock_path_of

        file = lock_path_of(record).with_suffix(".py")
        try:
            return recall(await asyncio.to_thread(file.read_text, "utf-8"))
        except OSError:
            return {}

    async def test_notify(self, services: Sequence[str]) -> list[tuple[str, bool, str]]:
        """Send a test message to services of the settings: the name, whether it arrived, and what
        came back."""
        from arkor_tui.recipes import notify

        kinds: dict[str, Callable[[], notify.Notifier]] = {
            "slack": notify.SlackNotifier.from_settings,
            "discord": notify.DiscordNotifier.from_settings,
            "webhook": notify.WebhookNotifier.from_settings,
            "apprise": notify.AppriseNotifier.from_settings,
            "bell": notify.BellNotifier,
        }
        told: list[tuple[str, bool, str]] = []
        for name in services:
            if name not in kinds:
                told.append((name, False, f"not one of {', '.join(kinds)}"))
                continue
            try:
                notifier = await asyncio.to_thread(kinds[name])
            except ArkorTuiError as error:
                told.append((name, False, f"{error.message} {error.hint or ''}"))
                continue
            outcome = await notify.send_test(notifier)
            told.append((name, outcome.ok, outcome.text))
        return told

    async def printed(self, record: RunRecord) -> list[str]:
        """The last lines that the recipes of a run printed in their own process."""
        from .recipe_host import lock_path_of

        return await asyncio.to_thread(_tail, lock_path_of(record).with_suffix(".log"))


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _is_lost(record: RunRecord) -> bool:
    from .recipe_host import recipe_files

    return bool(recipe_files(record)) and host_of(record) is None
