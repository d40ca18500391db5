"""docs/protocol.md, section 2: login, logout and whoami as commands."""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.api import oauth
from arkor_tui.api.errors import ApiError, ConnectionFailedError, UpgradeRequiredError
from arkor_tui.cli import interaction, login, logout, whoami
from arkor_tui.config.credentials import (
    AnonymousCredentials,
    CredentialsUnreadableError,
    OAuthCredentials,
    credentials_path,
    read_credentials,
    write_credentials,
)
from arkor_tui.config.state import ProjectState, write_state
from arkor_tui.errors import ArkorTuiError, UsageError
from tests.support.amounts import patience
from tests.support.oauth_issuer import Browser, Issuer
from tests.support.scripted_cloud import CLI_CONFIG, Cloud

Capture = pytest.CaptureFixture[str]


def parsed(command: Any, *words: str, as_json: bool = False) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="arkor-tui")
    command.configure(parser)
    return parser.parse_args(words, argparse.Namespace(json=as_json, debug=False))


def run(command: Any, *words: str, as_json: bool = False) -> int:
    return int(command.run(parsed(command, *words, as_json=as_json)))


def last(capture: Capture) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(capture.readouterr().out.splitlines()[-1])
    return value


@pytest.fixture(autouse=True)
def _forget_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interaction, "_told", set())


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Someone sits there and gives these answers, then ends the input."""
    answers: list[str] = []

    def answer(prompt: str) -> str:
        if not answers:
            raise EOFError
        return answers.pop(0)

    monkeypatch.setattr("builtins.input", answer)
    for module in (login, logout):
        monkeypatch.setattr(module, "is_interactive", lambda args: not args.json)
    yield answers
    assert answers == []


@pytest.fixture
def browser(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """The browser that opens, signing in at the issuer."""
    visitor = Browser()
    monkeypatch.setattr(oauth, "open_in_browser", visitor)
    sign_in = functools.partial(oauth.sign_in, issuer_url=issuer.url, timeout=patience(5))
    monkeypatch.setattr(oauth, "sign_in", sign_in)
    return visitor


def sign_in_anonymously(cloud: Cloud, identity: str = "anon-1") -> None:
    write_credentials(
        AnonymousCredentials(
            token="anon-secret", anonymous_id=identity, org_slug="org", cloud_api_url=cloud.url
        )
    )


# login


def test_flags_are_exclusive(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(login, "--anonymous", "--oauth")
    assert caught.value.code == 2


def test_anonymous_login(cloud: Cloud, capsys: Capture) -> None:
    assert run(login, "--anonymous") == 0
    assert cloud.asked() == ["/v1/auth/anonymous"]
    stored = read_credentials()
    assert isinstance(stored, AnonymousCredentials)
    assert stored.cloud_api_url == cloud.url  # without the slash
    out = capsys.readouterr().out
    assert "anon-7" in out
    assert "anon-7-org" in out
    assert str(credentials_path()) in out
    assert "secret" not in out


@pytest.mark.parametrize("exempt", ["localhost,[::1]", "", "[::1"])
def test_a_login_on_this_machine_asks_no_proxy(
    exempt: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r19."""
    monkeypatch.setenv("NO_PROXY", exempt)
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert run(login, "--anonymous") == 0
    assert run(whoami) == 0


@pytest.mark.parametrize("how", ["--anonymous", "--oauth"])
def test_a_login_tells_the_variable_that_names_no_usable_proxy(
    how: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """a11."""
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "https://api.example")
    monkeypatch.setenv("ALL_PROXY", "socks9://proxy.example")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(UsageError, match="ALL_PROXY"):
        run(login, how)


def test_non_interactive_login_is_anonymous(cloud: Cloud, capsys: Capture) -> None:
    assert run(login) == 0
    assert cloud.asked() == ["/v1/auth/anonymous"]


def test_login_ignores_the_stored_url(cloud: Cloud) -> None:
    write_credentials(OAuthCredentials(access_token="x", cloud_api_url="http://127.0.0.1:1"))
    assert run(login) == 0
    assert cloud.asked() == ["/v1/auth/anonymous"]


def test_login_as_json(cloud: Cloud, capsys: Capture) -> None:
    assert run(login, as_json=True) == 0
    assert last(capsys) == {
        "type": "result",
        "status": "signed-in",
        "mode": "anonymous",
        "anonymousId": "anon-7",
        "orgSlug": "anon-7-org",
        "expiresAt": None,
        "baseUrl": cloud.url,
        "credentialsFile": str(credentials_path()),
    }


def test_a_new_identity_says_what_it_replaces(cloud: Cloud, capsys: Capture) -> None:
    sign_in_anonymously(cloud, "anon-1")
    write_state(ProjectState("org", "project", "p"))
    assert run(login, "--anonymous") == 0
    told = capsys.readouterr().err
    assert "anon-1" in told
    assert "state.json" in told


def test_ci_refuses_oauth(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(UsageError) as caught:
        run(login, "--oauth")
    assert "--anonymous" in (caught.value.hint or "")
    assert cloud.requests == []
    assert not credentials_path().exists()


@pytest.mark.parametrize("missing", ["auth0Domain", "clientId", "audience"])
def test_oauth_with_missing_config(cloud: Cloud, missing: str) -> None:
    cloud.answers["/v1/auth/cli/config"] = (200, {**CLI_CONFIG, missing: None})
    with pytest.raises(ArkorTuiError, match="no sign-in with an account"):
        run(login, "--oauth")
    assert cloud.asked() == ["/v1/auth/cli/config"]
    assert not credentials_path().exists()


def test_interactive_with_missing_config_goes_on_anonymously(
    cloud: Cloud, at_terminal: list[str], capsys: Capture
) -> None:
    cloud.answers["/v1/auth/cli/config"] = (200, {"callbackPorts": []})
    assert run(login) == 0
    assert cloud.asked() == ["/v1/auth/cli/config", "/v1/auth/anonymous"]
    assert "continuing anonymously" in capsys.readouterr().err


@pytest.mark.parametrize("answers", [[""], ["2"], ["anonymous"], [], ["7", "x", "²", ""]])
def test_interactive_login_asks_and_defaults_to_anonymous(
    cloud: Cloud, at_terminal: list[str], answers: list[str]
) -> None:
    at_terminal.extend(answers)
    assert run(login) == 0
    assert cloud.asked() == ["/v1/auth/cli/config", "/v1/auth/anonymous"]


@pytest.mark.parametrize("words", [["--oauth"], []], ids=["flag", "asked"])
def test_oauth_login(
    cloud: Cloud, issuer: Issuer, browser: Browser, words: list[str], request: Any, capsys: Capture
) -> None:
    if not words:
        request.getfixturevalue("at_terminal").append("1")
    assert run(login, *words) == 0
    assert cloud.asked() == ["/v1/auth/cli/config"]
    assert issuer.verifies()
    stored = read_credentials()
    assert isinstance(stored, OAuthCredentials)
    assert stored.bearer == "access-secret"
    assert stored.cloud_api_url == cloud.url
    out, err = capsys.readouterr()
    assert browser.visited[0] in out
    assert "secret" not in out + err


def test_oauth_without_a_browser_prints_the_url(
    cloud: Cloud, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def visit(kind: str, fields: dict[str, Any]) -> None:
        lines.append(kind)
        if kind == "login.url":
            oauth._in_background(Browser(), fields["url"])

    monkeypatch.setattr(login, "emit", visit)
    assert run(login, "--oauth", "--no-browser", as_json=True) == 0
    assert lines == ["login.url", "result"]
    assert browser.visited == []


def test_a_failed_oauth_login_keeps_what_was_stored(
    cloud: Cloud, issuer: Issuer, browser: Browser
) -> None:
    sign_in_anonymously(cloud)
    before = credentials_path().read_bytes()
    issuer.redirect = {"code": "x", "state": "wrong"}
    with pytest.raises(oauth.OAuthError):
        run(login, "--oauth")
    assert credentials_path().read_bytes() == before


def test_a_refused_login_keeps_what_was_stored(cloud: Cloud) -> None:
    sign_in_anonymously(cloud)
    before = credentials_path().read_bytes()
    cloud.answers["/v1/auth/anonymous"] = (500, {"error": "down"})
    with pytest.raises(ApiError, match="down"):
        run(login, "--anonymous")
    assert credentials_path().read_bytes() == before


def test_an_empty_url_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "")
    with pytest.raises(ConnectionFailedError):
        run(login, "--anonymous")


def test_server_text_is_harmless(cloud: Cloud, capsys: Capture) -> None:
    cloud.answers["/v1/auth/anonymous"][1]["anonymousId"] = "a\x1b[31mb"
    cloud.headers = {"Deprecation": "true", "Warning": '299 - "soon\x1b]0;x\x07 gone"'}
    try:
        assert run(login, "--anonymous") == 0
    finally:
        cloud.answers["/v1/auth/anonymous"][1]["anonymousId"] = "anon-7"
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "soon" in err


# logout


def test_logout_without_a_file(capsys: Capture) -> None:
    assert run(logout) == 0
    assert "Not signed in" in capsys.readouterr().out
    assert run(logout, "--force", as_json=True) == 0
    assert last(capsys) == {"type": "result", "status": "not-signed-in"}


def test_logout_by_force_removes_only_the_file(cloud: Cloud, capsys: Capture) -> None:
    sign_in_anonymously(cloud)
    state = write_state(ProjectState("org", "project", "p"))
    other = credentials_path().parent / "telemetry-id"
    other.write_text("not ours")
    assert run(logout, "--force") == 0
    assert not credentials_path().exists()
    assert other.exists()
    assert state.exists()
    assert cloud.requests == []


@pytest.mark.parametrize("answers", [[""], ["n"], ["no"], [], ["whatever"]])
def test_logout_declines_by_default(
    cloud: Cloud, at_terminal: list[str], answers: list[str], capsys: Capture
) -> None:
    sign_in_anonymously(cloud)
    at_terminal.extend(answers)
    assert run(logout) == 0
    assert credentials_path().exists()
    assert "Nothing was removed" in capsys.readouterr().out


def test_logout_after_a_yes(cloud: Cloud, at_terminal: list[str]) -> None:
    sign_in_anonymously(cloud)
    at_terminal.append("y")
    assert run(logout) == 0
    assert not credentials_path().exists()


def test_non_interactive_logout_without_force_does_nothing(cloud: Cloud, capsys: Capture) -> None:
    sign_in_anonymously(cloud)
    assert run(logout) == 0
    assert credentials_path().exists()
    assert "--force" in capsys.readouterr().out
    assert run(logout, as_json=True) == 0
    assert last(capsys)["status"] == "kept"


def test_only_an_anonymous_identity_is_warned_of(cloud: Cloud, capsys: Capture) -> None:
    sign_in_anonymously(cloud)
    run(logout, "--force")
    assert "lost for good" in capsys.readouterr().err
    write_credentials(OAuthCredentials(access_token="x"))
    run(logout, "--force")
    assert capsys.readouterr().err == ""
    assert not credentials_path().exists()


def test_logout_removes_a_corrupt_file() -> None:
    credentials_path().parent.mkdir()
    credentials_path().write_text("{")
    assert run(logout, "--force") == 0
    assert not credentials_path().exists()


def test_logout_leaves_an_unreadable_file() -> None:
    credentials_path().mkdir(parents=True)
    with pytest.raises(CredentialsUnreadableError):
        run(logout, "--force")
    assert credentials_path().exists()


# whoami


def test_whoami_not_signed_in(cloud: Cloud, capsys: Capture) -> None:
    assert run(whoami) == 0
    assert "Not signed in" in capsys.readouterr().out
    assert run(whoami, as_json=True) == 0
    assert last(capsys) == {"type": "result", "status": "not-signed-in"}
    assert cloud.requests == []


def test_whoami_shows_user_and_orgs(cloud: Cloud, capsys: Capture) -> None:
    write_credentials(OAuthCredentials(access_token="access-secret"))
    assert run(whoami) == 0
    out = capsys.readouterr().out
    assert "Ada, ada@example.com (u-1)" in out
    assert "Organisations: ada, o-2" in out
    assert "secret" not in out
    assert cloud.asked() == ["/v1/me"]
    assert cloud.requests[0].headers["authorization"] == "Bearer access-secret"


def test_whoami_as_json(cloud: Cloud, capsys: Capture) -> None:
    sign_in_anonymously(cloud)
    cloud.answers["/v1/me"] = (200, {"user": {"id": "u", "email": None}, "orgs": []})
    assert run(whoami, as_json=True) == 0
    assert last(capsys) == {
        "type": "result",
        "status": "signed-in",
        "mode": "anonymous",
        "baseUrl": cloud.url,
        "user": {"id": "u", "email": None, "name": None},
        "orgs": [],
    }


def test_whoami_asks_where_the_credentials_are_from(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in_anonymously(cloud)
    monkeypatch.delenv("ARKOR_CLOUD_API_URL")
    assert run(whoami) == 0
    assert cloud.asked() == ["/v1/me"]


def test_whoami_with_a_refused_version(cloud: Cloud) -> None:
    sign_in_anonymously(cloud)
    cloud.answers["/v1/me"] = (426, {"error": "sdk_version_unsupported", "upgrade": "npm i x"})
    with pytest.raises(UpgradeRequiredError) as caught:
        run(whoami)
    assert caught.value.exit_code == 1
    assert caught.value.hint == "npm i x"


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_whoami_other_errors_are_a_message(cloud: Cloud, status: int, capsys: Capture) -> None:
    sign_in_anonymously(cloud)
    cloud.answers["/v1/me"] = (status, {"error": "not today"})
    assert run(whoami) == 0
    out = capsys.readouterr().out
    assert f"(status {status}): not today" in out
    assert run(whoami, as_json=True) == 0
    result = last(capsys)
    assert result["status"] == "unknown"
    assert result["httpStatus"] == status


def test_whoami_with_no_server_or_another_one(
    cloud: Cloud, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in_anonymously(cloud)
    cloud.answers["/v1/me"] = (200, b"<html>hello</html>")
    assert run(whoami) == 0
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "http://127.0.0.1:1")
    assert run(whoami) == 0
    assert "127.0.0.1:1" in capsys.readouterr().out


def test_whoami_with_unreadable_credentials() -> None:
    credentials_path().mkdir(parents=True)
    with pytest.raises(CredentialsUnreadableError):
        run(whoami)


# who can be asked


@pytest.mark.parametrize(
    ("stdin", "stdout", "ci", "as_json", "expected"),
    [
        (True, True, "", False, True),
        (False, True, "", False, False),
        (True, False, "", False, False),
        (True, True, "1", False, False),
        (True, True, "", True, False),
    ],
)
def test_interactive(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    stdin: bool,
    stdout: bool,
    ci: str,
    as_json: bool,
    expected: bool,
) -> None:
    class Stream:
        def __init__(self, terminal: bool) -> None:
            self.terminal = terminal

        def isatty(self) -> bool:
            return self.terminal

    monkeypatch.setenv("CI", ci)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", Stream(stdin))
        patch.setattr(sys, "stdout", Stream(stdout))
        result = interaction.is_interactive(argparse.Namespace(json=as_json))
    assert result is expected


def test_declaring_the_commands_imports_nothing_heavy() -> None:
    program = (
        "import sys; from arkor_tui.cli import doctor, login, logout, whoami; "
        "print(sorted({'asyncio', 'httpx', 'json', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(interaction.__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
