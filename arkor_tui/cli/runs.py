"""``arkor-tui runs``: the archive, for scripts and for the shell."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from arkor_tui.errors import ArkorTuiError, UsageError
from arkor_tui.session.resolve import RUN_HELP, archived_run
from arkor_tui.text.sanitize import indented, one_line

from .interaction import confirm, emit, is_interactive, note, say
from .recipehost import describe_host, error_line, has_lost_its_host, live_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_tui.archive.records import OddLoss, RunRecord
    from arkor_tui.archive.store import Archive

ACTIONS = ("list", "show", "export", "import", "delete", "undelete")
_STATUSES = ("queued", "running", "completed", "failed", "cancelled")
_MOST_ERRORS = 20
_MOST_DELETED = 10
_SORTS = ("created", "name", "status", "loss", "eval_loss", "duration", "steps")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        f"The archive: every run that was seen, of all projects. RUN is {RUN_HELP}."
    )
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list", help="default: list")
    parser.add_argument(
        "run",
        nargs="*",
        metavar="RUN|FILE",
        help="what to act on",
    )
    parser.add_argument("--status", choices=_STATUSES, help="list: only with this status")
    parser.add_argument("--tag", help="list: only with this tag")
    parser.add_argument("--text", default="", help="list: only with these words")
    parser.add_argument("--sort", choices=_SORTS, default="created", help="list: the order")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="list: at most N")
    parser.add_argument(
        "--format",
        choices=("jsonl", "csv", "markdown"),
        default="jsonl",
        help="export: a recording, its metrics, or a report (default: jsonl)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="export: default is stdout")
    parser.add_argument("--force", action="store_true", help="export: overwrite FILE")
    parser.add_argument("--yes", action="store_true", help="delete: do not ask")


def run(args: argparse.Namespace) -> int:
    """Do it.

    Raises:
        ArkorTuiError: no such run, or a file that cannot be read or written.
    """
    from arkor_tui.archive.store import Archive

    with Archive.open() as archive:
        if archive.notice:
            note(archive.notice)
        if args.action == "list":
            return _list(archive, args)
        if args.action == "import":
            return _import(archive, _given(args, "the recording to import"), args)
        refs = _given(args, "the run")
        if args.action == "show":
            return _show(archive, refs, args)
        if args.action == "export":
            return _export(archive, refs, args)
        return (_delete if args.action == "delete" else _undelete)(archive, refs, args)


def _given(args: argparse.Namespace, what: str) -> list[str]:
    if not args.run:
        raise UsageError(f"Name {what}.", hint=f"arkor-tui runs {args.action} RUN")
    return list(args.run)


def as_json(run: RunRecord) -> dict[str, Any]:
    """A run with stable keys; times are ISO-8601, duration is seconds.

    ``oddLoss`` is the last loss where that is no finite number; ``lastLoss`` is null then.
    """
    return {
        "jobId": run.identity.job_id,
        "backend": run.identity.backend,
        "org": run.identity.org,
        "project": run.identity.project,
        "name": run.name,
        "status": run.status,
        "model": run.model,
        "dataset": run.dataset,
        "createdAt": run.created_at,
        "startedAt": run.started_at,
        "completedAt": run.completed_at,
        "duration": run.duration,
        "lastStep": run.last_step,
        "maxSteps": run.max_steps,
        "lastLoss": run.last_loss,
        "oddLoss": asdict(run.odd_loss) if run.odd_loss is not None else None,
        "bestLoss": run.best_loss,
        "lastEvalLoss": run.last_eval_loss,
        "oddEvalLoss": asdict(run.odd_eval_loss) if run.odd_eval_loss is not None else None,
        "bestEvalLoss": run.best_eval_loss,
        "checkpoints": run.checkpoints,
        "events": run.events,
        "error": run.error,
        "reason": run.reason,
        "ended": run.ended.as_dict() if run.ended is not None else None,
        "tags": list(run.tags),
        "note": run.note,
    }


def _list(archive: Archive, args: argparse.Namespace) -> int:
    from arkor_tui.archive.records import RunQuery

    query = RunQuery(
        text=args.text,
        statuses=frozenset({args.status}) if args.status else frozenset(),
        tag=args.tag,
        sort=args.sort,
        descending=args.sort in ("created", "duration", "steps"),
    )
    runs = archive.runs(query, limit=max(args.limit, 0))
    if args.json:
        for record in runs:
            emit("run", as_json(record))
        return 0
    if not runs:
        is_narrowed = any((args.text, args.status, args.tag))
        note("No run is like that." if is_narrowed else "No runs yet: `arkor-tui start` makes one.")
        return 0
    rows = [("JOB", "NAME", "STATUS", "STEP", "LOSS", "EVAL", "CREATED", "WHERE")]
    rows += [
        (
            one_line(record.identity.job_id),
            record.name[:40],
            record.status,
            str(record.last_step or 0),
            _number(record.last_loss, record.odd_loss),
            _number(record.last_eval_loss, record.odd_eval_loss),
            record.created_at[:19] + "Z" * record.created_at.endswith("Z"),
            one_line(record.identity.where, limit=80),
        )
        for record in runs
    ]
    _table(rows)
    for record in runs:
        if has_lost_its_host(record, live_host(record)):
            note(f"{one_line(record.name, limit=60)}: {describe_host(record)}.")
    return 0


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        say("  ".join(cells).rstrip())


def _number(value: float | None, odd: OddLoss | None = None) -> str:
    if odd is not None:
        return odd.value
    return "-" if value is None else f"{value:.4f}"


def _show(archive: Archive, refs: list[str], args: argparse.Namespace) -> int:
    for ref in refs:
        record = archived_run(archive, ref, Path.cwd())
        if args.json:
            config = {"config": record.config}
            points = [
                {"step": c.step, "loss": c.loss, "evalLoss": c.eval_loss, "at": c.at}
                for c in archive.checkpoints(record.key)
            ]
            state = live_host(record)
            watched = {
                "callbacks": record.recipes,
                "watcher": {"pid": state.pid, "kind": state.kind} if state is not None else None,
                "unwatched": has_lost_its_host(record, state),
            }
            errors = _errors(archive, record)
            saved = {"callbackErrors": errors, "savedCheckpoints": points}
            emit("run", {**as_json(record), **watched, **config, **saved})
            continue
        fields = as_json(record)
        if record.ended is not None:
            del fields["reason"], fields["error"]  # as told below, or told anew
            fields["ended"] = str(record.ended)
        fields["oddLoss"] = record.odd_loss and str(record.odd_loss)
        fields["oddEvalLoss"] = record.odd_eval_loss and str(record.odd_eval_loss)
        for name, value in fields.items():
            if value not in (None, "", []):
                say(f"{name:<14} {indented(_shown(name, value), by=' ' * 15)}")
        if told := describe_host(record):
            say(f"{'callbacks':<14} {told}")
        for line in _recipes(archive, record):
            say(one_line(line, limit=1_000))
        for error in _errors(archive, record)[-_MOST_ERRORS:]:
            say(f"{'raised':<14} {indented(error_line(error), by=' ' * 15)}")
            if args.debug and error.get("traceback"):
                say(indented("  " + str(error["traceback"])))
        for name, value in record.config.items():
            say(f"  {one_line(name, limit=60):<24} {one_line(_shown(name, value), limit=1_000)}")
        for point in archive.checkpoints(record.key):
            losses = f"loss {_number(point.loss)}  eval {_number(point.eval_loss)}"
            say(f"  checkpoint {point.step:<10} {losses}")
    return 0


def _shown(name: str, value: Any) -> str:
    """A value of a run or of its settings for people."""
    if name == "duration":
        return f"{value:,.1f} s"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and name == "tags":
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _recipes(archive: Archive, record: RunRecord) -> Iterator[str]:
    """What guards did, how golden prompts were answered, and who was told."""
    for row in archive.findings(record.key, "guard"):
        where = f" at step {row.step}" if row.step is not None else ""
        yield f"{'guard':<14} {row.data.get('phase')}{where}: {row.data.get('reason')}"
    verdicts = [sample.passed for sample in archive.samples(record.key)]
    if verdicts:
        count = {how: verdicts.count(how) for how in (True, False, None)}
        yield (
            f"{'samples':<14} {count[True]} passed, {count[False]} failed, "
            f"{count[None]} without a verdict"
        )
    notices = [row.data for row in archive.findings(record.key, "notice")]
    if notices:
        lost = [data for data in notices if not data.get("ok")]
        why = f"; the last that did not: {lost[-1].get('error')}" if lost else ""
        yield f"{'notices':<14} {len(notices) - len(lost)} of {len(notices)} arrived{why}"


def _errors(archive: Archive, record: RunRecord) -> list[dict[str, Any]]:
    """What callbacks of the run raised, and why the process with them failed."""
    return [
        {"callback": row.name, "step": row.step, "at": row.created_at, **row.data}
        for row in archive.findings(record.key, "error")
    ]


def _export(archive: Archive, refs: list[str], args: argparse.Namespace) -> int:
    from arkor_tui.archive.export import export_run

    if len(refs) > 1:
        raise UsageError("One run at a time is exported.")
    record = archived_run(archive, refs[0], Path.cwd())
    with _output(args) as out:
        export_run(archive, record.key, args.format, out)
    if args.output:
        note(f"Wrote {args.output}.")
    return 0


@contextmanager
def _output(args: argparse.Namespace) -> Iterator[TextIO]:
    if not args.output:
        yield sys.stdout
        return
    path = Path(args.output).expanduser()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if path.exists() and not args.force:
        raise UsageError(f"{path} exists already.", hint="Choose another name, or add --force.")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as out:
            yield out
        temporary.replace(path)
    except OSError as error:
        raise ArkorTuiError(
            f"Cannot write {path}: {error.strerror or error}.",
            hint="Choose a folder that can be written to, or make room on the disk.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _import(archive: Archive, files: list[str], args: argparse.Namespace) -> int:
    from arkor_tui.archive.export import import_run

    for file in files:
        record = archive.run(import_run(archive, Path(file).expanduser()))
        assert record is not None
        if args.json:
            _emit_done(args, record)
        else:
            note(f"Imported {one_line(record.name)} ({record.events} events).")
    return 0


def _delete(archive: Archive, refs: list[str], args: argparse.Namespace) -> int:
    records = [archived_run(archive, ref, Path.cwd()) for ref in refs]
    names = ", ".join(
        f"{one_line(record.name)} ({one_line(record.identity.job_id)})" for record in records
    )
    if not args.yes:
        if not is_interactive(args):
            raise UsageError("Deleting asks first, and nobody is here to ask.", hint="Add --yes.")
        if not confirm(f"Delete {names} from the archive? Nothing is deleted on a backend."):
            return 1
    archive.delete([record.key for record in records])
    if args.json:
        for record in records:
            _emit_done(args, record)
        return 0
    again = " ".join(one_line(record.identity.job_id) for record in records)
    note(f"Deleted. Within seven days `arkor-tui runs undelete {again}` brings back.")
    return 0


def _undelete(archive: Archive, refs: list[str], args: argparse.Namespace) -> int:
    keys = [key for ref in refs for key in archive.deleted(ref)]
    archive.undelete(keys)
    # some may have been emptied meanwhile
    records = [record for key in keys if (record := archive.run(key)) is not None]
    if not records:
        raise UsageError("None of these was deleted lately.", hint=_deleted(archive))
    if args.json:
        for record in records:
            _emit_done(args, record)
    else:
        note(f"Brought back {len(records)} run{'' if len(records) == 1 else 's'}.")
    return 0


def _deleted(archive: Archive) -> str:
    """What can be brought back, for who does not know the job id any more."""
    lately = archive.deleted_lately(limit=_MOST_DELETED)
    if not lately:
        return "Nothing was deleted in the last seven days."
    lines = [f"{one_line(job_id, limit=80)}  {one_line(name, limit=60)}" for job_id, name in lately]
    return "\n".join(["Give the whole job id. Deleted last:", *lines])


def _emit_done(args: argparse.Namespace, record: RunRecord) -> None:
    emit("run", {**as_json(record), "action": args.action})
