"""Three ways to show a run: a bar on a terminal, lines in a pipe, JSON for scripts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from arkor_tui.api.events import (
    CheckpointSaved,
    TrainingCompleted,
    TrainingFailed,
    TrainingLog,
    TrainingResumed,
    TrainingStarted,
)
from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import GOES_ON, StreamState
from arkor_tui.api.stream import StreamEvent
from arkor_tui.archive.pace import Pace
from arkor_tui.archive.records import OddLoss, unix_time
from arkor_tui.chat.target import label_of
from arkor_tui.ended import Ended
from arkor_tui.text.sanitize import indented, one_line, plain

from .output import dump_line, event_record

if TYPE_CHECKING:
    from rich.progress import TaskID

    from arkor_tui.run.errors import CallbackError
    from arkor_tui.run.findings import Finding

_LONGEST_NOTE = 4_000
"""Characters of an error or notice that are shown."""


class Presenter(Protocol):
    """Shows one run. ``spoke`` says whether the trainer file printed something for the event."""

    def created(self, job: Job, *, attached: bool) -> None: ...

    def line(self, text: str) -> None:
        """A line that the trainer file printed."""

    def note(self, text: str) -> None:
        """Something beside the run itself: a connection, a notice, a callback's failure."""

    def raised(self, error: CallbackError) -> None:
        """A callback raised."""

    def event(self, item: StreamEvent, *, spoke: bool) -> None: ...

    def state(self, state: StreamState) -> None: ...

    def pause(self) -> None:
        """Make room for a question."""

    def resume(self) -> None: ...

    def finished(self, job: Job, artifacts: int, ended: Ended | None = None) -> None:
        """The end, and who stopped the run, if anybody did."""

    def detached(self, job: Job, pid: int, callbacks: int) -> None:
        """The run is in the hands of the process ``pid``, with its callbacks."""

    def close(self) -> None: ...


class JsonPresenter:
    """One object a line on stdout; everything else goes to stderr."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def _emit(self, record: dict[str, object]) -> None:
        print(dump_line(record), file=self._out, flush=True)

    def created(self, job: Job, *, attached: bool) -> None:
        kind = "job.attached" if attached else "job.created"
        self._emit({"type": kind, "jobId": job.id, "name": job.name, "status": job.status})

    def line(self, text: str) -> None:
        self.note(text)

    def note(self, text: str) -> None:
        print(indented(text, limit=_LONGEST_NOTE), file=sys.stderr, flush=True)

    def raised(self, error: CallbackError) -> None:
        self.note(f"error: {error.message}")
        place = {"file": error.file, "line": error.line}
        told = {"callback": error.callback, "event": error.event, "message": error.message}
        self._emit({"type": "callback.error", **told, **place})

    def event(self, item: StreamEvent, *, spoke: bool) -> None:
        self._emit(event_record(item))

    def state(self, state: StreamState) -> None:
        if text := _no_events(state):
            self.note(text)

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def finished(self, job: Job, artifacts: int, ended: Ended | None = None) -> None:
        self._emit(
            {
                "type": "result",
                "status": job.status,
                "jobId": job.id,
                "name": job.name,
                "error": job.error,
                "artifacts": artifacts,
                "reason": ended.sentence if ended is not None and ended.stopped else None,
                "ended": ended.as_dict() if ended is not None else None,
            }
        )

    def detached(self, job: Job, pid: int, callbacks: int) -> None:
        self._emit({"type": "detached", "jobId": job.id, "pid": pid, "callbacks": callbacks})

    def close(self) -> None: ...


class LinePresenter:
    """Plain lines. Where the trainer file prints its own line for an event, ours is left out."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._total: int | None = None
        self._pace = Pace()
        self._reason_told = False

    def _print(self, text: str) -> None:
        print(plain(text), file=self._out, flush=True)

    def created(self, job: Job, *, attached: bool) -> None:
        self._total = planned_steps(job)
        if attached:
            self._print(f"job {one_line(job.id)} ({one_line(job.name)}, {job.status})")
        else:
            self._print(f"job {one_line(job.id)} submitted ({one_line(job.name)})")

    def line(self, text: str) -> None:
        self._print(text)

    def note(self, text: str) -> None:
        print(indented(text, limit=_LONGEST_NOTE), file=sys.stderr, flush=True)

    def raised(self, error: CallbackError) -> None:
        self.note(f"error: {error.message}")

    def event(self, item: StreamEvent, *, spoke: bool) -> None:
        event = item.event
        if isinstance(event, TrainingStarted):
            self._total = started_steps(event) or self._total
            text = "training started"
        elif isinstance(event, TrainingResumed):
            text = f"resumed from step {event.step}"
        elif isinstance(event, TrainingLog):
            text = f"{step_of(event.step, self._total)}  {numbers(event)}"
            self._pace.take(event.step, unix_time(event.timestamp))
            if (eta := self._pace.left(self._total)) is not None:
                text += f"  eta {clock(eta)}"
        elif isinstance(event, CheckpointSaved):
            text = f"checkpoint {event.step} saved"
        elif isinstance(event, TrainingCompleted):
            text = "training completed"
        else:
            self._reason_told = spoke and isinstance(event, TrainingFailed)
            return
        if not spoke:
            self._print(text)

    def state(self, state: StreamState) -> None:
        if text := _no_events(state):
            self.note(text)

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def finished(self, job: Job, artifacts: int, ended: Ended | None = None) -> None:
        self._print(ending(job, reason=not self._reason_told))
        if ended is not None and ended.stopped:
            self._print(one_line(ended, limit=_LONGEST_NOTE))

    def detached(self, job: Job, pid: int, callbacks: int) -> None:
        self._print(detached(job, pid, callbacks))

    def close(self) -> None: ...


class BarPresenter:
    """A progress bar with loss and time left, at the foot of the trainer file's own lines."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(file=out, highlight=False)
        self._bar = Progress(
            TextColumn("[bold]{task.description}", markup=True),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[step]}", markup=False),
            TextColumn("{task.fields[numbers]}", markup=False),
            TextColumn("{task.fields[eta]}", markup=False),
            console=self._console,
            auto_refresh=False,
            transient=True,  # what stays is the line that says how it ended
            # what the trainer file prints must pass the sanitiser, not rich's own proxy
            redirect_stdout=False,
            redirect_stderr=False,
            expand=True,
        )
        self._held: list[str] | None = None
        self._task: TaskID | None = None
        self._total: int | None = None
        self._pace = Pace()
        self._reason_told = False
        self._loss = self._eval = ""

    def created(self, job: Job, *, attached: bool) -> None:
        self._total = planned_steps(job)
        verb = "following" if attached else "submitted"
        self.line(f"{verb} {one_line(job.name)} ({one_line(job.id)})")
        self._task = self._bar.add_task(
            plain(job.name, limit=40, newlines=False).replace("[", "("),
            total=self._total,
            step=job.status,
            numbers="",
            eta="",
        )
        self._bar.start()

    def line(self, text: str) -> None:
        if self._held is not None:
            self._held.append(text)  # not into the question that is being asked
        else:
            self._print(text)

    def note(self, text: str) -> None:
        self._print(indented(text, limit=_LONGEST_NOTE))

    def _print(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(plain(text)), soft_wrap=True)

    def raised(self, error: CallbackError) -> None:
        self.note(f"error: {error.message}")

    def event(self, item: StreamEvent, *, spoke: bool) -> None:
        event = item.event
        if isinstance(event, TrainingStarted):
            self._total = started_steps(event) or self._total
            self._update(0, "started", "", "")
        elif isinstance(event, TrainingLog):
            odd = event.non_finite or {}
            self._loss = _told_last(event.loss, odd.get("loss"), event.step) or self._loss
            self._eval = _told_last(event.eval_loss, odd.get("evalLoss"), event.step) or self._eval
            parts = [("loss", self._loss), ("eval", self._eval)]
            self._pace.take(event.step, unix_time(event.timestamp))
            eta = self._pace.left(self._total)
            self._update(
                event.step,
                step_of(event.step, self._total),
                "  ".join(f"{name} {told}" for name, told in parts if told),
                "" if eta is None else f"eta {clock(eta)}",
            )
        elif isinstance(event, TrainingResumed):
            self._loss = self._eval = ""
            self.line(f"resumed from step {event.step}")
        elif isinstance(event, CheckpointSaved) and not spoke:
            self.line(f"checkpoint {event.step} saved")
        elif isinstance(event, TrainingFailed):
            self._reason_told = spoke

    def _update(self, done: int, step: str, numbers: str, eta: str) -> None:
        if self._task is not None and self._held is None:
            self._bar.update(
                self._task, total=self._total, completed=done, step=step, numbers=numbers, eta=eta
            )
            self._bar.refresh()

    def state(self, state: StreamState) -> None:
        if text := _no_events(state):
            self.line(text)

    def pause(self) -> None:
        self._bar.stop()
        self._held = []

    def resume(self) -> None:
        held, self._held = self._held or [], None
        for text in held:
            self._print(text)
        self._bar.start()

    def finished(self, job: Job, artifacts: int, ended: Ended | None = None) -> None:
        self._bar.stop()
        self.line(ending(job, reason=not self._reason_told))
        if ended is not None and ended.stopped:
            self.line(one_line(ended, limit=_LONGEST_NOTE))

    def detached(self, job: Job, pid: int, callbacks: int) -> None:
        self._bar.stop()
        self.line(detached(job, pid, callbacks))

    def close(self) -> None:
        self._bar.stop()


def presenter_for(*, json: bool, out: TextIO) -> Presenter:
    """The way that fits: JSON if asked for, the bar on a terminal, lines elsewhere."""
    if json:
        return JsonPresenter(out)
    return BarPresenter(out) if out.isatty() else LinePresenter(out)


def detached(job: Job, pid: int, callbacks: int) -> str:
    """That the run goes on without this process, and how to find it again."""
    recipes, name = f"{callbacks} callback{'' if callbacks == 1 else 's'}", one_line(job.id)
    return (
        f"Process {pid} watches the run with {recipes}. `arkor-tui attach {name}` follows it, "
        f"`arkor-tui cancel {name}` stops it."
    )


def ending(job: Job, *, reason: bool) -> str:
    """How the run ended; ``reason`` leaves out what was said before."""
    told = reason and job.error and job.status == "failed"
    why = f": {indented(job.error, limit=_LONGEST_NOTE)}" if told else ""
    return f"{one_line(job.name)} {job.status}{why} ({one_line(job.id)})"


_PHASES = {
    "armed": "the guard stops the run at the next checkpoint",
    "stopping": "the guard stops the run",
    "failed": "the guard could not stop the run",
}


def finding_line(finding: Finding) -> str:
    """What a recipe found, in a line; empty for what needs none, such as a notice that arrived."""
    data = finding.data
    if finding.kind == "guard":
        why = [str(data[key]) for key in ("reason", "message") if data.get(key)]
        does = _PHASES.get(str(data.get("phase")), "")
        return one_line(f"{does}: {'; '.join(why)}", limit=400) if does else ""
    if finding.kind == "notice":
        return (
            one_line(f"nobody was told: {data.get('error')}", limit=500)
            if data.get("first")
            else ""
        )
    target = data.get("target")
    where = label_of(str(target), finding.step)
    passed = data.get("passed")
    mark = "pass" if passed is True else "FAIL" if passed is False else " -- "
    wrong = data.get("verdict") if passed is False else ""
    text = f"{mark}  {where:>9}  {one_line(data.get('name') or data.get('text'), limit=50)}"
    text += f"  {one_line(data.get('reply'), limit=60)}"
    return text + (f"  ({one_line(wrong, limit=120)})" if wrong else "")


def planned_steps(job: Job) -> int | None:
    """How many steps the job was asked for, if it was."""
    return _steps(job.config.extra.get("maxSteps"))


def started_steps(event: TrainingStarted) -> int | None:
    """How many steps the backend is going to make, if it says so."""
    return _steps(event.metadata.get("steps") if isinstance(event.metadata, dict) else None)


def _steps(value: Any) -> int | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if usable and 0 < value < 2**53 else None


def step_of(step: int, total: int | None) -> str:
    """``step 25/100``."""
    return f"step {step}" if total is None else f"step {step}/{total}"


def numbers(event: TrainingLog) -> str:
    """The numbers of a log event that are there, in a fixed order."""
    parts = []
    if event.loss is not None:
        parts.append(f"loss {event.loss:.4f}")
    if event.eval_loss is not None:
        parts.append(f"eval loss {event.eval_loss:.4f}")
    for name, value in list((event.non_finite or {}).items())[:5]:
        parts.append(f"{one_line(name, limit=40)} is {one_line(value, limit=20)}")
    if event.learning_rate is not None:
        parts.append(f"lr {event.learning_rate:.2e}")
    if event.samples_per_second is not None:
        parts.append(f"{event.samples_per_second:.1f} samples/s")
    return "  ".join(parts)


def _told_last(value: float | None, odd: str | None, step: int) -> str:
    """A loss that was logged, a word where it is no finite number; empty where none was."""
    if odd is not None:
        return str(OddLoss.of(odd, step))
    return "" if value is None else f"{value:.4f}"


def clock(seconds: float) -> str:
    """``0:38``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _no_events(state: StreamState) -> str:
    """Why events do not arrive; empty where they do."""
    if state.waits:
        return f"the run waits: {one_line(state.waits)}. {GOES_ON}"
    if state.phase != "reconnecting":
        return ""
    which = f"attempt {state.attempt}, " if state.attempt else ""
    reason = one_line(state.reason)
    return f"connection lost ({reason}); reconnecting, {which}in {state.delay:.1f} s"
