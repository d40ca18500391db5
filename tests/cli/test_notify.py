"""``arkor-tui notify``: a message really goes out, and what came back is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from arkor_tui.cli import main
from arkor_tui.config.settings import settings_path
from tests.support.loopback import Loopback

VARIABLES = ("SLACK_WEBHOOK_URL", "DISCORD_WEBHOOK_URL", "NOTIFY_WEBHOOK_URL", "APPRISE_URL")


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def place() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def put(content: str) -> None:
    path = settings_path()
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    path.chmod(0o600)


def test_all_that_have_an_address_get_a_message(
    place: Loopback, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"http://127.0.0.1:{place.port}/hush-slack")
    put(f'[notify]\ndiscord = "http://127.0.0.1:{place.port}/hush-discord"\n')
    assert main(["notify", "--test"]) == 0
    bodies = {path: json.loads(body) for path, body in place.requests}
    assert set(bodies) == {"/hush-slack", "/hush-discord"}
    assert "test of arkor-tui" in bodies["/hush-slack"]["text"]
    assert bodies["/hush-discord"]["allowed_mentions"] == {"parse": []}
    out = capsys.readouterr().out
    assert out.count("took the test message.") == 2
    assert "hush" not in out


def test_a_refusal_ends_with_1(
    place: Loopback, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place.statuses = [404]
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"http://127.0.0.1:{place.port}/hush")
    assert main(["notify", "--test", "slack", "--json"]) == 1
    (line,) = lines(capsys)
    assert set(line) == {"type", "service", "to", "ok", "text"}
    assert (line["type"], line["service"], line["ok"]) == ("test", "slack", False)
    assert "status 404" in line["text"]
    assert "hush" not in str(line)


def test_the_environment_goes_before_the_settings(
    place: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f'[notify]\nwebhook = "http://127.0.0.1:{place.port}/settings"\n')
    main(["notify", "--test", "webhook"])
    monkeypatch.setenv("NOTIFY_WEBHOOK_URL", f"http://127.0.0.1:{place.port}/environment")
    main(["notify", "--test", "webhook"])
    monkeypatch.setenv("MINE", f"http://127.0.0.1:{place.port}/mine")
    main(["notify", "--test", "webhook", "--env", "MINE"])
    assert [path for path, _ in place.requests] == ["/settings", "/environment", "/mine"]


@pytest.mark.parametrize("arguments", [[], ["--test"], ["--test", "slack"]])
def test_without_an_address_it_explains_how_to_set_one(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notify", *arguments]) == 2
    err = capsys.readouterr().err
    assert "SLACK_WEBHOOK_URL" in err
    assert str(settings_path()) in err
    assert "chmod 600" in err


@pytest.mark.parametrize("value", [None, " "])
def test_a_variable_without_an_address_is_named(
    value: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTIFY_WEBHOOK_URL", "http://127.0.0.1:9/usual")
    if value is not None:
        monkeypatch.setenv("NOPE", value)
    assert main(["notify", "--test", "webhook", "--env", "NOPE"]) == 2
    told = capsys.readouterr().err
    assert "error: The environment variable NOPE is not set, or it is empty." in told
    assert "leave out --env" in told


def test_env_needs_a_service(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notify", "--test", "--env", "MINE"]) == 2
    assert "--test slack --env NAME" in capsys.readouterr().err


def test_listing_sends_nothing_and_masks(
    place: Loopback, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"http://127.0.0.1:{place.port}/hush")
    assert main(["notify", "--json"]) == 0
    (line,) = lines(capsys)
    assert (line["type"], line["service"]) == ("destination", "slack")
    assert line["to"].startswith("Slack 127.0.0.1/…")
    assert place.requests == []
    assert main(["notify"]) == 0
    assert "hush" not in capsys.readouterr().out
