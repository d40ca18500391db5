"""Apprise itself, sending to a server of this machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from arkor_tui.recipes.notify import AppriseNotifier, send_test
from tests.support.loopback import Loopback
from tests.support.notifying import FakeRun, Time, completion

pytest.importorskip("apprise")


@pytest.fixture
def place() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


def to(place: Loopback) -> AppriseNotifier:
    made = AppriseNotifier.from_env("A", environ={"A": f"json://127.0.0.1:{place.port}/hushhush"})
    made.clock = Time().clock
    return made


async def test_a_message_arrives(place: Loopback) -> None:
    run, notifier = FakeRun(), to(place)
    notifier.attached(run.handle)
    notifier.on_completed(completion(1))
    await run.finish()
    (body,) = [json.loads(body) for _, body in place.requests]
    assert body["type"] == "success"
    assert body["title"] == "arkor-tui: triage-run"
    assert "1 artifact " in body["message"]
    assert run.notices[0]["ok"] is True


async def test_a_refusal_is_tried_again_told_and_shows_no_address(
    place: Loopback, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    place.statuses = [503] * 4
    run, notifier = FakeRun(), to(place)
    notifier.attached(run.handle)
    notifier.on_completed(completion())
    await run.finish()
    assert len(place.requests) == 4
    assert run.notices[0]["ok"] is False
    out, err = capfd.readouterr()
    assert "hushhush" not in f"{run.findings} {caplog.text} {out} {err}"


async def test_a_redirection_is_not_followed(place: Loopback) -> None:
    place.statuses = [307]
    outcome = await send_test(to(place))
    assert not outcome.ok
    assert [path for path, _ in place.requests] == ["/hushhush"]


async def test_an_address_of_no_service_is_told() -> None:
    notifier = AppriseNotifier.from_env("A", environ={"A": "nosuchservice://hushhush"})
    outcome = await send_test(notifier)
    assert not outcome.ok
    assert "no address that Apprise understands" in outcome.text
    assert "hushhush" not in outcome.text
