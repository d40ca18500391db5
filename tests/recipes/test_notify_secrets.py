"""Who knows a webhook's address can post, so nothing ever shows it."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from arkor_tui.config.settings import SettingsError, read_settings, settings_path
from arkor_tui.errors import UsageError
from arkor_tui.recipes.notify import (
    AppriseNotifier,
    DiscordNotifier,
    Notifier,
    SlackNotifier,
    WebhookNotifier,
    send_test,
)
from tests.support.notifying import SECRET, URL, FakeRun, Place, completion, sending

PARTS = [*SECRET.split("/"), "services"]


def assert_no_secret(text: str) -> None:
    assert not [part for part in PARTS if part in text]


def test_an_address_shows_itself_masked() -> None:
    notifier = SlackNotifier.from_env("S", environ={"S": URL})
    assert re.fullmatch(r"<SlackNotifier Slack hooks\.slack\.com/…[0-9a-f]{4}>", repr(notifier))
    assert_no_secret(f"{notifier!r} {notifier.destination!r} {vars(notifier)} {notifier.label}")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, text=f"Cannot POST /services/{SECRET}"),
        httpx.Response(404, text="hushhushhush"),
        httpx.Response(400, json={"message": "hushhushhush"}),
        httpx.Response(302, headers={"Location": URL}),
        httpx.ConnectError(f"cannot connect to {URL}"),
        httpx.ReadTimeout(URL),
        httpx.UnsupportedProtocol(URL),
        httpx.InvalidURL(URL),
        RuntimeError(URL),
    ],
)
@pytest.mark.parametrize("kind", [SlackNotifier, DiscordNotifier, WebhookNotifier])
async def test_no_answer_makes_it_known(
    answer: Any, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run = FakeRun()
    notifier = sending(kind.from_env("S", environ={"S": URL}), Place(*[answer] * 4))
    notifier.attached(run.handle)
    notifier.on_completed(completion())
    await run.finish()
    assert run.notices[0]["ok"] is False
    outcome = await send_test(sending(notifier, Place(answer)))
    assert not outcome.ok
    assert_no_secret(f"{run.findings} {run.marks} {outcome} {caplog.text}")


async def test_no_library_logs_it_and_other_tasks_are_logged_as_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    place = Place()
    outcome = await send_test(sending(SlackNotifier.from_env("S", environ={"S": URL}), place))
    assert outcome.ok
    assert place.requests[0].url == URL
    assert_no_secret(caplog.text)
    async with httpx.AsyncClient(transport=Place()) as client:
        await client.get("https://example.com/seen")
    assert "example.com/seen" in caplog.text


BAD = [
    "http://hooks.slack.com/services/hushhushhush",
    "ftp://hushhushhush",
    "hushhushhush",
    "https://",
    "https://[hushhushhush",
    "https://a.b:hushhushhush/x",
    "https://a.b/hush\x1b[31mhushhush hushhushhush",
    "http://127.0.0.1.hushhushhush/x",
    "http://localhost@hushhushhush/",
]


@pytest.mark.parametrize("url", BAD)
@pytest.mark.parametrize("kind", [SlackNotifier, DiscordNotifier, WebhookNotifier])
def test_a_bad_address_is_refused_without_being_named(url: str, kind: type[Notifier]) -> None:
    with pytest.raises(UsageError, match="MY_HOOK") as caught:
        kind.from_env("MY_HOOK", environ={"MY_HOOK": url})
    assert_no_secret(f"{caught.value} {caught.value.hint} {caught.value.__cause__}")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:80", "127.9.9.9"])
def test_this_machine_may_be_reached_without_tls(host: str) -> None:
    assert WebhookNotifier.from_env("W", environ={"W": f"http://{host}/x"}).is_enabled


def test_the_host_of_an_apprise_address_is_a_secret_too() -> None:
    pytest.importorskip("apprise")
    notifier = AppriseNotifier.from_env("A", environ={"A": "tgram://hushhushhush/1234"})
    assert re.fullmatch(r"Apprise tgram://…[0-9a-f]{4}", notifier.label)
    assert_no_secret(f"{notifier!r} {notifier.destination!r}")
    with pytest.raises(UsageError) as caught:
        AppriseNotifier.from_env("A", environ={"A": "hushhushhush"})
    assert_no_secret(f"{caught.value} {caught.value.hint}")


def test_apprise_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="not installed") as caught:
        AppriseNotifier.from_env("A", environ={"A": "ntfys://hushhushhush"})
    assert "arkor-tui[notify]" in str(caught.value.hint)
    assert not AppriseNotifier.from_env("A", environ={}).is_enabled


def put(content: str, mode: int = 0o600) -> Path:
    path = settings_path()
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


def test_addresses_may_stand_in_the_settings_file() -> None:
    put(f'[notify]\nslack = "{URL}"\nwebhook = "http://127.0.0.1:8000/x"\n')
    assert SlackNotifier.from_settings().label.startswith("Slack hooks.slack.com/…")
    assert WebhookNotifier.from_settings(on=("failed",)).is_enabled
    assert not DiscordNotifier.from_settings().is_enabled
    assert_no_secret(repr(read_settings()))


def test_without_a_settings_file_nothing_is_set() -> None:
    assert not SlackNotifier.from_settings().is_enabled


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_settings_file_that_others_can_read_is_refused(mode: int) -> None:
    path = put(f'[notify]\nslack = "{URL}"\n', mode)
    with pytest.raises(UsageError) as caught:
        SlackNotifier.from_settings()
    assert f"chmod 600 {path}" in str(caught.value.hint)
    assert_no_secret(f"{caught.value}")
    assert not DiscordNotifier.from_settings().is_enabled  # it has no address there
    read_settings()  # the app opens all the same


def test_a_settings_file_without_addresses_may_be_read_by_all() -> None:
    put('backend = "local"\n[notify]\n', 0o644)
    assert read_settings().notify.is_private


@pytest.mark.parametrize(
    "line",
    [
        'slack = "hushhushhush"',
        'slack = ["https://a/hushhushhush"]',
        'discord = "ftp://hushhushhush"',
        'apprise = "hushhushhush"',
        'webhook = "https://a/hush hushhushhush"',
    ],
)
def test_a_mistake_there_is_told_with_its_line_and_without_the_address(line: str) -> None:
    path = put(f"[notify]\n{line}\n")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert str(caught.value).startswith(f"{path}, line 2: notify.")
    assert_no_secret(f"{caught.value} {caught.value.hint} {caught.value.__cause__}")


def test_what_only_the_service_finds_wrong_names_the_file_and_not_the_address() -> None:
    path = put('[notify]\nslack = "http://hushhushhush/x"\n')
    with pytest.raises(UsageError) as caught:
        SlackNotifier.from_settings()
    assert f"{path} (notify.slack) must begin with https://" in str(caught.value)
    assert_no_secret(str(caught.value))
