"""The processes that run recipes, as the app sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import LIVE_STATUSES, RunQuery, RunRecord
from arkor_tui.errors import ArkorTuiError

from .updates import Problem, Update

if TYPE_CHECKING:
    from arkor_tui.config.run_lock import WatchState

    from .monitor import RunMonitor
    from .supervisor import Supervisor


_TAIL_BYTES = 100_000


class Watchers:
    """Hands runs to supervisors, finds out who watches what, and takes up what was lost."""

    def __init__(self, archive: AsyncArchive) -> None:
        self._archive = archive
        self._starting: set[int] = set()

    async def hand_over(
        self, monitor: RunMonitor, count: int, recipe_source: str | None = None
    ) -> None:
        """Give the ``count`` callbacks of a run that was just submitted to a process of their own.

        A failure ends up among the monitor's problems.
        """
        from arkor_tui.config.atomic import write_private

        from .supervision import path_of

        record, key = monitor.record, monitor.key
        assert record is not None
        self._starting.add(key)
        try:
            if recipe_source is not None:
                file = path_of(record).with_suffix(".py")
                await asyncio.to_thread(write_private, file, recipe_source)
            await self._archive.write(lambda a: a.set_recipes(key, count, record.trainer_file))
            await self.take_up(record)
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

    async def take_up(self, record: RunRecord) -> Supervisor:
        """Start a supervisor for a run that nobody watches.

        Raises:
            AlreadyWatchedError: somebody does.
            SupervisorError: it did not start.
        """
        from .supervisor import start_supervisor

        key = record.key
        self._starting.add(key)  # whoever looks for lost runs meanwhile leaves it alone
        try:
            started = await start_supervisor(record, self._archive.path)
        finally:
            self._starting.discard(key)
        count = started.callbacks
        await self._archive.write(lambda a: a.set_recipes(key, count, None))
        return started

    async def let_go(self, record: RunRecord) -> bool:
        """End the watching of a run, which goes on; False where it is not ours to end."""
        from .supervisor import stop_supervisor

        stopped = await stop_supervisor(record)
        if stopped:
            await self._archive.write(lambda a: a.set_recipes(record.key, 0, None))
        return stopped

    async def state(self, record: RunRecord) -> WatchState | None:
        """Which process watches a run, and how it stands; None where none does."""
        from .supervisor import watch_of

        return await asyncio.to_thread(watch_of, record)

    async def lost(self, backend: str) -> list[RunRecord]:
        """Live runs of a backend whose recipes nobody runs any more: after a reboot, say."""
        live = RunQuery(statuses=LIVE_STATUSES, backend=backend)
        runs = await self._archive.read(lambda a: a.runs(live, limit=50))
        return [
            run
            for run in runs
            if run.recipes and run.key not in self._starting and await self.state(run) is None
        ]

    async def recalled(self, record: RunRecord) -> dict[str, str]:
        """The guards, prompts and notifications of a run as they were typed into the form."""
        from arkor_tui.run.draft_source import recall

        from .supervision import path_of

        file = path_of(record).with_suffix(".py")
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
        from .supervision import path_of

        return await asyncio.to_thread(_tail, path_of(record).with_suffix(".log"))


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
