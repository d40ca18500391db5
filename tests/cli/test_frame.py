"""The frame around every command: help, exit codes, errors."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from arkor_tui import __version__
from arkor_tui.cli import COMMANDS, app, main
from arkor_tui.session.resolve import RUN_HELP


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == f"arkor-tui {__version__}"


@pytest.mark.parametrize("before", [["--config", "x"], ["--theme", "y", "--debug"]])
def test_options_of_the_app_explain_themselves(
    before: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*before, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "settings to use instead" in out
    with pytest.raises(SystemExit) as ended:
        main([*before, "--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == f"arkor-tui {__version__}"


def test_the_overview_names_the_options_of_the_app(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    app.configure(parser)
    options = {word for action in parser._actions for word in action.option_strings} - {"-h"}
    with pytest.raises(SystemExit):
        main(["-h"])
    out = capsys.readouterr().out
    assert {option for option in options if option not in out} == set()


@pytest.mark.parametrize(
    "command", ["chat", "attach", "cancel", "probe", "bisect", "what-if", "runs"]
)
def test_every_command_says_the_same_of_which_run_is_meant(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert RUN_HELP in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["nonsense", "--help"], ["start", "--nonsense"], ["chat"]]
)
def test_wrong_use_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_a_failure_is_one_message_with_a_hint_and_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["start", "missing.py", "--json"]) == 2
    captured = capsys.readouterr()
    assert "There is no trainer file" in captured.err
    assert "arkor-tui init" in captured.err
    assert "Traceback" not in captured.err
    assert json.loads(captured.out)["type"] == "error"


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "\x1b]0;missing.py", "--debug"]) == 2
    told = capsys.readouterr().err
    assert "There is no trainer file" in told
    assert "Traceback (most recent call last)" in told
    assert "\x1b" not in told


def test_an_unknown_backend_is_wrong_use(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attach", "job_1", "--backend", "moon"]) == 2
    assert "Unknown backend 'moon'" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    heavy = {"httpx", "pydantic", "rich", "textual", "torch", "asyncio", "json"}
    code = (
        "import sys; before = set(sys.modules)\n"
        "from arkor_tui.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print(sorted({heavy!r} & set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_a_closed_pipe_ends_quietly() -> None:
    done = subprocess.run(
        f"{sys.executable} -m arkor_tui doctor --json | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
