"""Following a run to its end on the command line, Ctrl-C included."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sqlite3
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import Any

from arkor_tui.api.notices import DeprecationNotice
from arkor_tui.archive.records import RunIdentity
from arkor_tui.archive.sink import identity_of
from arkor_tui.archive.store import Archive
from arkor_tui.connect.connection import Connection
from arkor_tui.ended import Ended, EndedBy
from arkor_tui.errors import ArkorTuiError
from arkor_tui.run.follow import TrainingResult
from arkor_tui.run.trainer import Trainer
from arkor_tui.session.keeping import archived, register_run
from arkor_tui.text.sanitize import one_line

from . import EXIT_FAILED, EXIT_HUNG_UP, EXIT_INTERRUPTED
from .interaction import forget_output, is_interactive, output_is_gone
from .output import CallbackOutput
from .present import Presenter, finding_line, presenter_for

_QUESTION = "Leave it running [Enter], [c]ancel it on the backend, or [s]tay? "
_ANSWERS = ("", "c", "cancel", "s", "stay")  # nothing, which leaves it, is also the end of input


@dataclass(frozen=True, slots=True)
class View:
    """Where a run is shown. ``interactive`` says whether someone can be asked."""

    presenter: Presenter
    printed: CallbackOutput
    interactive: bool


@contextmanager
def presenting(args: argparse.Namespace) -> Iterator[View]:
    """A view, with everything that a trainer file prints meanwhile going through it."""
    interactive = is_interactive(args)  # asked while stdout is still the terminal
    presenter = presenter_for(json=args.json, out=sys.stdout)
    printed = CallbackOutput(presenter.line)
    # what notifiers log comes as a finding too, and that has its place in the view
    logging.getLogger("arkor_tui.recipes.notify").addHandler(logging.NullHandler())
    try:
        with redirect_stdout(printed):
            yield View(presenter, printed, interactive)
    finally:
        printed.finish()
        presenter.close()


async def follow(
    trainer: Trainer,
    connection: Connection,
    view: View,
    args: argparse.Namespace,
    *,
    attached: bool = False,
) -> int:
    """Submit or attach, then show everything until the end; returns the exit code.

    Ctrl-C and SIGTERM ask what to do on a terminal, and stop following anywhere else, where
    ``args.on_signal`` does not say what to do; the job goes on unless it is to be cancelled. It
    goes on too where the terminal hangs up, or whoever read our output has gone.

    Raises:
        ArkorTuiError: the job could not be submitted, or its stream was refused for good.
    """
    presenter = view.presenter
    trainer.use(connection)
    trainer.on_state = presenter.state
    # one failing callback must not take the view of a paid run with it
    trainer.hooks.on_error = "report"

    def tell(notice: DeprecationNotice) -> None:
        until = f" (until {notice.sunset})" if notice.sunset else ""
        presenter.note(f"notice from the server: {notice.message}{until}")

    connection.on_notice = tell
    async with _interrupts() as interrupts:
        work = asyncio.ensure_future(_show(trainer, view, attached=attached, debug=args.debug))
        try:
            while True:
                interrupt = await _first_of(work, interrupts)
                if interrupt is signal.SIGHUP or (work.done() and output_is_gone()):
                    # nobody is here to be asked: leaving stops neither the job nor its callbacks
                    forget_output()
                    await trainer.submitted()
                    await _stopped(work)
                    await _hand_over(trainer, presenter)
                    return EXIT_HUNG_UP if interrupt is signal.SIGHUP else EXIT_FAILED
                if work.done():
                    return work.result()
                presenter.pause()
                code = await _decide(trainer, view, args, interrupts)
                if code is not None:
                    await _stopped(work)
                    await _hand_over(trainer, presenter)
                    return code
                presenter.resume()
        finally:
            await _stopped(work)
            await connection.aclose()


async def _why_ended(trainer: Trainer, result: TrainingResult) -> Ended | None:
    """Give why a run ended; who cancelled it in another process has kept that."""
    if result.status != "cancelled" or trainer.why_stopped is not None:
        return result.ended
    identity = identity_of(await trainer.connection(), result.job.id)
    return await asyncio.to_thread(_kept_reason, identity) or result.ended


def _kept_reason(identity: RunIdentity) -> Ended | None:
    try:
        with Archive.open() as archive:
            runs = archive.find(identity.job_id)
    except (ArkorTuiError, sqlite3.Error, OSError):
        return None  # whoever only looks needs no archive
    return next((run.ended for run in runs if run.identity == identity), None)


async def _show(trainer: Trainer, view: View, *, attached: bool, debug: bool) -> int:
    presenter, printed = view.presenter, view.printed
    await trainer.start()
    assert trainer.job is not None
    presenter.created(trainer.job, attached=attached)
    told, found, spoken = 0, 0, printed.lines
    trainer.open_sink = partial(archived, origin="command", note=presenter.note, own_callbacks=True)
    async with aclosing(trainer.events()) as events:
        async for item in events:
            presenter.event(item, spoke=printed.lines > spoken)
            spoken = printed.lines
            found = _tell_findings(trainer, presenter, found)
            told = _tell_errors(trainer, presenter, told, debug=debug)
    _tell_findings(trainer, presenter, found)
    result = trainer.result
    assert result is not None
    presenter.finished(result.job, len(result.artifacts), await _why_ended(trainer, result))
    _tell_errors(trainer, presenter, told, debug=debug)
    if trainer.callback_errors:
        count = len(trainer.callback_errors)
        presenter.note(f"{count} callback{'' if count == 1 else 's'} raised; see above.")
        return EXIT_FAILED
    return 0 if result.status == "completed" else EXIT_FAILED


def _tell_findings(trainer: Trainer, presenter: Presenter, told: int) -> int:
    """What guards did and how golden prompts were answered since; returns how many are told."""
    for finding in trainer.hooks.findings[told:]:
        if line := finding_line(finding):
            presenter.note(line)
    return len(trainer.hooks.findings)


def _tell_errors(trainer: Trainer, presenter: Presenter, told: int, *, debug: bool) -> int:
    """What callbacks raised since; returns how many errors are told."""
    for error in trainer.callback_errors[told:]:
        presenter.raised(error)
        if debug:
            presenter.note("".join(traceback.format_exception(error.__cause__ or error)))
    return len(trainer.callback_errors)


async def _decide(
    trainer: Trainer,
    view: View,
    args: argparse.Namespace,
    interrupts: asyncio.Queue[signal.Signals],
) -> int | None:
    """What to do after an interrupt: an exit code, or None to go on following."""
    presenter = view.presenter
    if trainer.job is not None:
        job_id = trainer.job.id
    else:
        presenter.note("Waiting for the backend's answer, as it may have the job already …")
        answered = asyncio.ensure_future(trainer.submitted())
        again = None if args.on_signal == "cancel" else interrupts
        if again is not None and await _first_of(answered, again) is not None:
            answered.cancel()
            presenter.note(
                "Interrupted before the backend answered. It may train the job all the same: "
                "Runs in the app lists what it has, and `arkor-tui cancel JOB` stops it."
            )
            return EXIT_INTERRUPTED
        if (submitted := await answered) is None:
            return None  # whoever follows the run says why
        job_id = submitted
    answer = {"leave": "l", "cancel": "c"}.get(args.on_signal, "")
    if not answer and view.interactive:
        presenter.note("")
        presenter.note(f"{one_line(trainer.name)} is still going ({one_line(job_id)}).")
        answer = await _answer(_QUESTION, interrupts)
        while answer not in _ANSWERS:
            presenter.note("Please press Enter, or answer with c or s.")
            answer = await _answer(_QUESTION, interrupts)
    if answer.startswith("s"):
        return None
    if answer.startswith("c"):
        presenter.note("Cancelling; waiting for the backend to say so …")
        by: EndedBy = "signal" if args.on_signal == "cancel" else "person"
        said = "cancelled by a signal" if by == "signal" else "cancelled by hand"
        state = await trainer.stop(said, by=by)
        if not state.confirmed:
            presenter.note(f"error: it could not be cancelled: {state.message} {state.hint}")
        return None
    backend, name = f" --backend {args.backend}" if args.backend else "", one_line(job_id)
    presenter.note(
        f"No longer following; the job goes on. `arkor-tui attach {name}{backend}` follows it "
        f"again, `arkor-tui cancel {name}{backend}` stops it."
    )
    return EXIT_INTERRUPTED


async def _hand_over(trainer: Trainer, presenter: Presenter) -> None:
    """Callbacks of a trainer file go on in a process of their own, as leaving stops no guard."""
    if trainer.job is None or trainer.file is None or not trainer.callbacks:
        return
    from arkor_tui.archive.async_archive import AsyncArchive
    from arkor_tui.session.supervision import start_supervisor

    try:
        archive = await AsyncArchive.open()
        try:
            record = await register_run(archive, trainer, origin="command")
            supervisor = await start_supervisor(record, archive.path)
        finally:
            await archive.aclose()
    except (ArkorTuiError, OSError) as error:
        presenter.note(f"error: its callbacks do not go on: {error}")
        return
    count = supervisor.callbacks
    many = "" if count == 1 else "s"
    presenter.note(f"Process {supervisor.pid} goes on with {count} callback{many}.")


async def _answer(question: str, interrupts: asyncio.Queue[signal.Signals]) -> str:
    """A line from the terminal; a second interrupt counts as Enter."""
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        if not line.done():
            line.set_result(sys.stdin.readline())

    sys.stderr.write(question)
    sys.stderr.flush()
    loop.add_reader(sys.stdin, read)
    try:
        await _first_of(line, interrupts)
    finally:
        loop.remove_reader(sys.stdin)
    return line.result().strip().lower() if line.done() else ""


async def _first_of(
    work: asyncio.Future[Any], interrupts: asyncio.Queue[signal.Signals]
) -> signal.Signals | None:
    """Wait until ``work`` is done or an interrupt came, and give that one."""
    interrupt = asyncio.ensure_future(interrupts.get())
    try:
        await asyncio.wait({work, interrupt}, return_when=asyncio.FIRST_COMPLETED)
        return interrupt.result() if interrupt.done() else None
    finally:
        await _stopped(interrupt)


async def _stopped(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # nobody is left to be told


@asynccontextmanager
async def _interrupts() -> AsyncIterator[asyncio.Queue[signal.Signals]]:
    """SIGINT, SIGTERM and SIGHUP as items of a queue."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[signal.Signals] = asyncio.Queue()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, queue.put_nowait, number)
    try:
        yield queue
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
