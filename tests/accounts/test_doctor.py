from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import time
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import certifi
import pytest

from arkor_tui._version import __version__
from arkor_tui.cli import checks, connection_checks, doctor
from arkor_tui.cli.check import Check
from arkor_tui.config.credentials import (
    AnonymousCredentials,
    OAuthCredentials,
    credentials_path,
    write_credentials,
)
from arkor_tui.config.local_backend import LocalBackendInfo, backend_file, write_local_backend
from arkor_tui.config.settings import settings_path
from arkor_tui.config.state import ProjectState, state_path, write_state
from arkor_tui.terminal import Capabilities
from arkor_tui.tui.terminalapp import chosen_symbols
from tests.support.scripted_cloud import running_cloud

Capture = pytest.CaptureFixture[str]


def run(capture: Capture) -> tuple[int, dict[str, dict[str, Any]], dict[str, Any]]:
    """The exit code, the checks by name and the last line of ``doctor --json``."""
    code = doctor.run(argparse.Namespace(json=True, debug=False, keys=False))
    lines = [json.loads(line) for line in capture.readouterr().out.splitlines()]
    assert all(set(line) == {"type", "name", "status", "detail", "hint"} for line in lines[:-1])
    assert all(line["hint"] for line in lines[:-1] if line["status"] != "ok")
    assert lines[-1]["type"] == "result"
    return code, {line["name"]: line for line in lines[:-1]}, lines[-1]


def test_a_fresh_machine_is_healthy(capsys: Capture, home: Path) -> None:
    code, found, result = run(capsys)
    assert code == 0
    assert result["status"] == "ok"
    assert result["fail"] == 0
    assert set(found) >= {
        "terminal",
        "terminal.colours",
        "terminal.encoding",
        "terminal.session",
        "folder.data",
        "folder.config",
        "folder.project",
        "disk",
        "archive",
        "settings",
        "credentials",
        "cloud.url",
        "project.state",
        "network.proxy",
        "network.certificates",
        "backend.local",
        "engine",
    }
    assert os.listdir(home) == ["demo-project"]  # looking changes nothing


def test_people_get_lines_and_hints(capsys: Capture) -> None:
    credentials_path().parent.mkdir()
    credentials_path().write_text("{")
    assert doctor.run(argparse.Namespace(json=False, debug=False, keys=False)) == 0
    out = capsys.readouterr().out
    assert "warn  credentials" in out
    assert "`arkor-tui login` replaces it." in out
    assert "Nothing failed" in out


def test_configure_takes_nothing_but_keys() -> None:
    parser = argparse.ArgumentParser()
    doctor.configure(parser)
    assert parser.parse_args([]) == argparse.Namespace(keys=False)


def test_a_failure_ends_with_1(capsys: Capture) -> None:
    credentials_path().mkdir(parents=True)
    code, found, result = run(capsys)
    assert code == 1
    assert result["status"] == "fail"
    assert found["credentials"]["status"] == "fail"
    assert doctor.run(argparse.Namespace(json=False, debug=False, keys=False)) == 1
    assert "1 failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("credentials", "status", "text"),
    [
        (AnonymousCredentials(token="secret", anonymous_id="anon-1"), "ok", "anon-1"),
        (AnonymousCredentials(token=None), "fail", "no usable token"),
        (OAuthCredentials(access_token="secret"), "ok", "expiry unknown"),
        (OAuthCredentials(access_token="secret", expires_at=1), "warn", "expired"),
        (
            OAuthCredentials(access_token="secret", expires_at=time.time() + 7_300),
            "ok",
            "expires in 2 h",
        ),
        (OAuthCredentials(access_token="secret", expires_at=10**40), "ok", "expires in"),
    ],
)
def test_credentials(
    capsys: Capture, credentials: AnonymousCredentials, status: str, text: str
) -> None:
    write_credentials(credentials)
    _, found, _ = run(capsys)
    assert found["credentials"]["status"] == status
    assert text in found["credentials"]["detail"]
    assert "secret" not in json.dumps(found)


def test_credentials_that_others_can_read(capsys: Capture) -> None:
    write_credentials(AnonymousCredentials(token="secret"))
    credentials_path().chmod(0o644)
    _, found, _ = run(capsys)
    assert found["credentials"]["status"] == "warn"
    assert "chmod 600" in found["credentials"]["hint"]


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("", "fail"),
        ("not a url", "fail"),
        ("http://[", "fail"),
        ("ftp://x.example", "fail"),
        ("http://cloud.example", "warn"),
        ("http://127.0.0.1:8000", "ok"),
        ("https://cloud.example/", "ok"),
    ],
)
def test_cloud_address(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, url: str, status: str
) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", url)
    _, found, _ = run(capsys)
    assert found["cloud.url"]["status"] == status


def test_a_token_that_would_go_elsewhere(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    write_credentials(OAuthCredentials(access_token="x"))
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "http://127.0.0.1:8000")
    _, found, _ = run(capsys)
    assert found["cloud.url"]["status"] == "warn"
    assert "https://api.arkor.ai" in found["cloud.url"]["detail"]


def test_project_state(capsys: Capture) -> None:
    write_credentials(AnonymousCredentials(token="x", org_slug="mine"))
    write_state(ProjectState("mine", "bot", "p"))
    assert run(capsys)[1]["project.state"]["detail"] == "mine/bot"
    write_state(ProjectState("theirs", "bot", "p"))
    assert run(capsys)[1]["project.state"]["status"] == "warn"
    state_path().write_text("{")
    assert "incomplete" in run(capsys)[1]["project.state"]["detail"]
    state_path().unlink()
    assert run(capsys)[1]["project.state"]["status"] == "ok"
    write_credentials(OAuthCredentials(access_token="x"))
    assert "missing" in run(capsys)[1]["project.state"]["detail"]


def test_settings(capsys: Capture) -> None:
    settings_path().parent.mkdir(mode=0o700)
    settings_path().write_text("backend = 3")
    code, found, _ = run(capsys)
    assert code == 1
    assert "line 1" in found["settings"]["detail"]


def test_folders(capsys: Capture, home: Path) -> None:
    (home / "data").mkdir(mode=0o755)
    (home / "config").write_text("a file")
    code, found, _ = run(capsys)
    assert code == 1
    assert "chmod 700" in found["folder.data"]["hint"]
    assert found["folder.config"]["status"] == "fail"
    assert "ARKOR_TUI_CONFIG_DIR" in found["folder.config"]["hint"]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("free", "status"), [(10**12, "ok"), (10**9, "warn"), (10**6, "fail")])
def test_disk(capsys: Capture, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, free))
    assert run(capsys)[1]["disk"]["status"] == status


@pytest.mark.parametrize("version", [__version__, "0.0.1", None])
def test_a_running_backend(capsys: Capture, home: Path, version: str | None) -> None:
    token = home / "token"
    token.touch(0o600)
    token.write_text("a-local-secret")
    with running_cloud() as server:
        server.token = "a-local-secret"
        write_local_backend(LocalBackendInfo(server.url, os.getpid(), token, version))
        _, found, _ = run(capsys)
        assert server.asked() == ["/", "/v1/me"]
        assert server.requests[1].headers["authorization"] == "Bearer a-local-secret"
    assert found["backend.local"]["status"] == ("ok" if version == __version__ else "warn")
    assert server.url in found["backend.local"]["detail"]
    assert "secret" not in json.dumps(found)


def test_who_has_the_port_of_our_backend_gets_no_token(capsys: Capture, home: Path) -> None:
    token = home / "token"
    token.touch(0o600)
    token.write_text("a-local-secret")
    with running_cloud() as server:
        write_local_backend(LocalBackendInfo(server.url, os.getpid(), token))
        code, found, _ = run(capsys)
        assert server.asked() == ["/"]
        assert "authorization" not in server.requests[0].headers
    assert (code, found["backend.local"]["status"]) == (1, "fail")
    assert "another program answers there" in found["backend.local"]["detail"]


def test_a_backend_that_does_not_answer(capsys: Capture, home: Path) -> None:
    token = home / "token"
    token.touch(0o600)
    token.write_text("a-local-secret")
    write_local_backend(LocalBackendInfo("http://127.0.0.1:1", os.getpid(), token))
    code, found, _ = run(capsys)
    assert code == 1
    assert "Cannot reach" in found["backend.local"]["detail"]
    token.chmod(0o644)
    assert "chmod 600" in run(capsys)[1]["backend.local"]["hint"]
    backend_file().write_text("{")
    assert run(capsys)[1]["backend.local"]["detail"].startswith("not running")


def test_a_backend_that_hangs(capsys: Capture, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = home / "token"
    token.touch(0o600)
    token.write_text("a-local-secret")
    monkeypatch.setattr(connection_checks, "_PROBE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        write_local_backend(LocalBackendInfo(url, os.getpid(), token))
        code, found, _ = run(capsys)
    assert code == 1
    assert "does not answer" in found["backend.local"]["detail"]


def test_no_engine(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    found = run(capsys)[1]["engine"]
    assert found["status"] == "warn"
    assert "torch" in found["detail"]
    assert "arkor-tui[local]" in found["hint"]


def test_the_engine_check_imports_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "1.0")
    monkeypatch.setattr("builtins.__import__", _refusing_engine(__import__))
    assert [check.status for check in checks.check_engine()] == ["ok"]


def _refusing_engine(real: Any) -> Any:
    def importing(name: str, *args: Any, **kwargs: Any) -> Any:
        assert name.split(".")[0] not in checks.ENGINE_PACKAGES
        return real(name, *args, **kwargs)

    return importing


@pytest.mark.parametrize(
    ("environment", "name", "status"),
    [
        ({"COLORTERM": "truecolor"}, "terminal.colours", "ok"),
        ({"TERM": "xterm-256color"}, "terminal.colours", "ok"),
        ({"TERM": "dumb"}, "terminal.colours", "warn"),
        ({"TERM": "dumb", "NO_COLOR": "1"}, "terminal.colours", "ok"),
        ({"SSH_CONNECTION": "a"}, "terminal.session", "ok"),
        ({"SSH_CONNECTION": "a", "TMUX": "b"}, "terminal.session", "ok"),
    ],
)
def test_terminal(
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    name: str,
    status: str,
) -> None:
    for variable in ("COLORTERM", "TERM", "SSH_CONNECTION", "TMUX", "STY"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert run(capsys)[1][name]["status"] == status


@pytest.mark.parametrize(
    ("environment", "symbols", "status", "told"),
    [
        ({}, None, "ok", "UTF-8"),
        ({"LANG": "C.UTF-8"}, None, "ok", "UTF-8"),
        ({"LANG": "C.UTF-8", "LC_ALL": "C"}, None, "warn", "drawn with ASCII, as LC_ALL is C"),
        ({"LC_CTYPE": "de_DE"}, None, "warn", "as LC_CTYPE is de_DE"),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, None, "warn", "as TERM is linux"),
        ({"LC_ALL": "C"}, "braille", "ok", "drawn with braille (settings)"),
        ({"LANG": "C.UTF-8"}, "ascii", "ok", "drawn with ascii (settings)"),
    ],
)
def test_the_encoding_is_judged_as_the_app_does(
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    symbols: str | None,
    status: str,
    told: str,
) -> None:
    for variable in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    if symbols is not None:
        settings_path().parent.mkdir(mode=0o700)
        settings_path().write_text(f'[app]\nsymbols = "{symbols}"\n')
    found = run(capsys)[1]["terminal.encoding"]
    assert found["status"] == status
    assert told in found["detail"]
    braille = Capabilities.detect(os.environ).braille
    drawn = chosen_symbols(symbols, braille=braille)
    assert (symbols is None and drawn == "ascii") == (status == "warn")


def test_a_small_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((70, 24)))
    assert checks._size().status == "warn"
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    assert checks._size().status == "ok"


def test_a_check_that_breaks_is_a_finding(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Check]:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(checks, "_CHECKS", (("odd", broken), ("disk", checks.check_disk)))
    code, found, _ = run(capsys)
    assert code == 1
    assert "ZeroDivisionError" in found["odd"]["detail"]
    assert found["disk"]["status"] == "ok"


def test_keys_lists_every_action_that_may_be_given_other_keys(capsys: Capture) -> None:
    assert doctor.run(argparse.Namespace(json=True, debug=False, keys=True)) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {line["action"]: line["keys"] for line in lines}
    assert found["view.live"] == ["3"]
    assert found["live.cancel"] == ["c"]
    assert len(found) == len(lines)


def test_the_network_of_the_environment_is_told(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``SSL_CERT_FILE`` for a private authority is told, and so is each proxy without its login."""
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hush@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,[::1]")
    _, found, _ = run(capsys)
    assert found["network.proxy"]["detail"].startswith("http://proxy.example:3128 (HTTPS_PROXY)")
    assert f"in {certifi.where()} (SSL_CERT_FILE) alone" in found["network.certificates"]["detail"]


def test_a_network_that_cannot_be_used_is_named_by_its_variable(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """a11: doctor says what a login would run into."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    monkeypatch.setenv("ALL_PROXY", "socks9://me:hush@proxy.example:1080")
    code, found, _ = run(capsys)
    assert code == 1
    assert found["network.proxy"]["status"] == found["network.certificates"]["status"] == "fail"
    assert "ALL_PROXY does not name a proxy" in found["network.proxy"]["detail"]
    assert "hush" not in str(found)
    assert "SSL_CERT_FILE" in found["network.certificates"]["detail"]
    assert "unset it" in found["network.certificates"]["hint"]
