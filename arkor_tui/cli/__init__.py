"""The command line. Only the module of the command that was asked for is ever imported."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from arkor_tui._version import __version__
from arkor_tui.errors import ArkorTuiError

EXIT_FAILED = 1
EXIT_HUNG_UP = 129
EXIT_INTERRUPTED = 130

COMMANDS: dict[str, str] = {
    "init": "write a starter project into a folder",
    "start": "start the trainer of a file and follow it",
    "attach": "follow a run that is already going",
    "cancel": "stop a run on the backend",
    "chat": "send one prompt to a checkpoint, the final adapter or the base model",
    "probe": "ask golden prompts of any checkpoint, and judge the answers",
    "bisect": "find the checkpoint from which on an answer is right, or wrong",
    "what-if": "try other guard settings on an archived run",
    "runs": "list, show, export, import or delete archived runs",
    "replay": "play a recorded run into the app",
    "notify": "show and test where messages about runs go",
    "serve": "run the embedded backend in the foreground, or stop it",
    "login": "sign in to Arkor's cloud",
    "logout": "forget the stored credentials",
    "whoami": "show who is signed in",
    "doctor": "check terminal, folders, credentials, backend and engine",
}
_ABOUT_US = frozenset({"-h", "--help", "--version"})
HIDDEN = frozenset({"supervise"})
"""Commands that this program gives itself."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0 done, 1 failed, 2 wrong use, 129 the terminal hung up (SIGHUP), 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # a terminal without UTF-8 must not turn a message into a crash
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    at = next((i for i, word in enumerate(arguments) if word in COMMANDS or word in HIDDEN), None)
    if at is None:
        if not _only_options(arguments) or (arguments and set(arguments) <= _ABOUT_US):
            _overview().parse_args(arguments)
        name, rest = "app", arguments
    else:
        name, rest = arguments[at], arguments[:at] + arguments[at + 1 :]
    # intermixed, so that `chat RUN --step 5 PROMPT` reads as people write it
    args = _parser(name).parse_intermixed_args(rest)
    debug = bool(args.debug)
    code: int = EXIT_FAILED
    try:
        code = _module(name).run(args)
        print(end="", flush=True)  # sys.stdout may be None
        return code
    except ArkorTuiError as error:
        _say(error.message, error.hint, args)
        if debug:
            _trace(error)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        from .interaction import forget_output, output_is_gone

        if isinstance(error, OSError) and output_is_gone():
            forget_output()  # nothing is left to say to whoever read us
            return code or EXIT_FAILED
        if debug:
            _trace(error)
            return EXIT_FAILED
        _say(
            f"Unexpected {type(error).__name__}: {error}",
            "This is a fault of arkor-tui. Run the command again with --debug for a report.",
            args,
        )
        return EXIT_FAILED


def _only_options(arguments: Sequence[str]) -> bool:
    """Whether these are options of the app and no misspelt command."""
    return not arguments or arguments[0].startswith("-")


def _overview() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="arkor-tui",
        description="Fine-tune language models with LoRA: start a run, watch it, talk to its "
        "checkpoints, stop it.",
        epilog="Without a command it opens the app; its options are --run ID (open on this run), "
        "--theme NAME, --config FILE (settings to use instead of your settings.toml) and "
        "--backend local|cloud|URL. `arkor-tui COMMAND --help` shows the options of a command, and "
        "`arkor-tui --backend local --help` those of the app.",
    )
    _add_version(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text)
    return parser


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", action="version", version=f"arkor-tui {__version__}")


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="arkor-tui" if name == "app" else f"arkor-tui {name}")
    if name == "app":
        _add_version(parser)
        parser.epilog = "`arkor-tui --help` lists the commands."
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object a line, for scripts"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    _module(name).configure(parser)
    return parser


def _module(command: str):  # type: ignore[no-untyped-def] # modules have no useful type
    return importlib.import_module(f"{__name__}.{command.replace('-', '')}")


def _trace(error: Exception) -> None:
    """The traceback for a report; the messages in it may be a server's words."""
    import traceback

    from arkor_tui.text.sanitize import plain

    print(plain("".join(traceback.format_exception(error))), file=sys.stderr, end="")


def _say(message: str, hint: str | None, args: argparse.Namespace) -> None:
    from arkor_tui.text.sanitize import indented

    from .interaction import emit, forget_output

    forget_output()  # what happened must not be followed by a traceback about a closed pipe
    print(f"error: {indented(message, limit=4_000)}", file=sys.stderr)
    if hint:
        print(f"  {indented(hint, limit=2_000)}", file=sys.stderr)
    if getattr(args, "json", False):
        emit("error", {"message": message, "hint": hint})
