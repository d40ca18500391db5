"""``arkor-tui serve``: the embedded backend in the foreground, and its end."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_tui.connect.detached import ReadyPipe, add_ready_option

from .interaction import emit, note, say

if TYPE_CHECKING:
    from arkor_tui.backend.server import ServingInfo


_HOST = "127.0.0.1"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Run the embedded backend: Arkor's protocol on this machine, with a real training engine. "
        "It listens on the loopback interface only, unless told otherwise, and who can read its "
        "token file may use it."
    )
    parser.add_argument(
        "--stop",
        action="store_true",
        help="stop the embedded backend of the data folder instead, whoever started it; its jobs "
        "go on when it starts again",
    )
    parser.add_argument(
        "--host",
        default=_HOST,
        help="address to listen on (default: %(default)s); any other lets other machines try, "
        "without encryption",
    )
    parser.add_argument("--port", type=int, help="default: a free one")
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="where jobs and adapters are kept"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="train N jobs at a time (default: 1)"
    )
    parser.add_argument(
        "--allow-anonymous",
        action="store_true",
        help="hand a token to whoever asks on this machine, as a stock Arkor client does; not "
        "together with a --host that other machines reach",
    )
    parser.add_argument(
        "--map-model",
        action="append",
        default=[],
        metavar="NAME=MODEL",
        help="answer for the base model NAME with MODEL (an id or path that exists here)",
    )
    parser.add_argument(
        "--map-dataset",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="read the JSON lines of FILE for the hub dataset NAME",
    )
    parser.add_argument("--unless-stopped", action="store_true", help=argparse.SUPPRESS)
    add_ready_option(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C, or stop who serves.

    Raises:
        UsageError: an option does not fit.
        ArkorTuiError: the port or the data folder is taken, or the extra is not installed.
    """
    from arkor_tui.config.folders import local_backend_dir
    from arkor_tui.errors import ArkorTuiError, UsageError

    if args.stop:
        return _stop(args)
    models = _pairs(args.map_model, "--map-model")
    datasets = {
        name: Path(path).expanduser().absolute()
        for name, path in _pairs(args.map_dataset, "--map-dataset").items()
    }
    for path in datasets.values():
        if not path.is_file():
            raise UsageError(f"--map-dataset names {path}, which is no file.")
    try:
        from arkor_tui.backend.server import ServeOptions, serve
    except ModuleNotFoundError as error:
        raise ArkorTuiError(
            f"The embedded backend is not installed ({error.name} missing).",
            hint="Install the extra: pip install 'arkor-tui[local]'",
        ) from error
    options = ServeOptions(
        data_dir=args.data_dir.absolute() if args.data_dir else local_backend_dir(),
        host=args.host,
        port=args.port,
        allow_anonymous=args.allow_anonymous,
        jobs=args.jobs,
        map_models=models,
        map_datasets=datasets,
        unless_stopped=args.unless_stopped,
    )
    with ReadyPipe(args.ready_fd) as pipe:

        def ready(info: ServingInfo) -> None:
            _ready(info, args)
            pipe.tell("serving")

        return serve(options, on_ready=ready)


def _stop(args: argparse.Namespace) -> int:
    from arkor_tui.errors import UsageError

    from .stopping import stop

    others = (args.port, args.data_dir, args.allow_anonymous, args.map_model, args.map_dataset)
    if any(others) or args.host != _HOST or args.jobs != 1:
        raise UsageError(
            "--stop ends the backend of your data folder, and goes with no other option of serve.",
            hint="One that serves a --data-dir ends with Ctrl-C where it runs; backend.json in "
            "that folder names its process.",
        )
    return stop(args)


def _pairs(values: list[str], option: str) -> dict[str, str]:
    from arkor_tui.errors import UsageError

    pairs = {}
    for value in values:
        name, found, target = value.partition("=")
        if not (found and name and target):
            raise UsageError(f"{option} {value!r} is not of the form NAME=VALUE.")
        pairs[name] = target
    return pairs


def _ready(info: ServingInfo, args: argparse.Namespace) -> None:
    if args.allow_anonymous:
        note("Anonymous clients are allowed: every program on this machine may train here.")
    if args.json:
        try:
            emit("serving", {"url": info.url, "tokenFile": str(info.token_file), "pid": info.pid})
        except BrokenPipeError:  # whoever started it is gone; jobs go on, and others may come
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        return
    say(f"Serving at {info.url}")
    say(f"Token file: {info.token_file}")
    say("Ctrl-C stops it; jobs that were running go on at the next start.")
