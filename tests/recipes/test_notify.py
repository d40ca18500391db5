"""What notifiers tell about a run, and when they hold their tongue."""

from __future__ import annotations

import math
from typing import Any

import pytest

from arkor_tui.api.reconnect import StreamState
from arkor_tui.ended import Ended
from arkor_tui.errors import UsageError
from arkor_tui.recipes.notify import DiscordNotifier, SlackNotifier, WebhookNotifier
from arkor_tui.recipes.notify.discord import LIMIT
from arkor_tui.recipes.notify.message import Message
from arkor_tui.recipes.notify.notifier import send_test
from arkor_tui.run.findings import Finding
from tests.support.notifying import (
    URL,
    FakeRun,
    Place,
    Time,
    a_job,
    a_log,
    completion,
    failure,
    sending,
    turns,
)


def slack(place: Place, time: Time | None = None, **options: Any) -> SlackNotifier:
    return sending(
        SlackNotifier.from_env(environ={"SLACK_WEBHOOK_URL": URL}, **options), place, time
    )


def discord(place: Place, **options: Any) -> DiscordNotifier:
    made = DiscordNotifier.from_env("D", environ={"D": "https://discord.com/api/webhooks/1/x"})
    return sending(made, place)


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 artifacts"), (1, "1 artifact "), (2, "2 artifacts")]
)
async def test_completion_has_name_artifacts_and_job_and_mentions_nobody(
    count: int, words: str
) -> None:
    run, place = FakeRun(), Place()
    notifier = slack(place)
    notifier.attached(run.handle)
    notifier.on_completed(completion(count))
    await run.finish()
    (text,) = place.texts
    assert words in text
    assert "triage-run" in text
    assert "job-1" in text
    assert "<!" not in text
    assert run.notices == [{"service": "slack", "event": "completed", "ok": True, "error": None}]


async def test_failure_has_name_error_and_job_and_mentions_the_channel() -> None:
    run, place = FakeRun(), Place()
    notifier = slack(place)
    notifier.attached(run.handle)
    notifier.on_failed(failure("CUDA out of memory", step=62))
    await run.finish()
    assert place.texts == ["<!here> triage-run failed at step 62 (job job-1): CUDA out of memory"]


async def test_failure_mentions_nobody_where_that_is_not_wanted() -> None:
    run, place = FakeRun(), Place()
    notifier = slack(place, mention_on_failure=False)
    notifier.attached(run.handle)
    notifier.on_failed(failure())
    await run.finish()
    assert place.texts == ["triage-run failed (job job-1): out of memory"]


async def test_cancelled_is_no_failure_and_says_why() -> None:
    run, place = FakeRun(), Place()
    run.why_stopped = Ended("guard", "loss 7.1 is above 5.0", "ceiling", 7)
    notifier = slack(place)
    notifier.attached(run.handle)
    notifier.on_failed(failure("Job cancelled", "cancelled"))
    await run.finish()
    assert place.texts == [
        "triage-run was cancelled (job job-1): Stopped by the guard ceiling at step 7: "
        "loss 7.1 is above 5.0"
    ]


async def test_slack_gets_nothing_that_it_would_take_for_a_mention_or_link() -> None:
    run, place = FakeRun(), Place()
    notifier = slack(place, mention_on_failure=False)
    notifier.attached(run.handle)
    notifier.on_failed(failure("<!channel> a & b <http://x|y> \x1b[31mred\x1b[0m\nline"))
    await run.finish()
    (text,) = place.texts
    assert text.endswith(": &lt;!channel&gt; a &amp; b &lt;http://x|y&gt; red line")


async def test_discord_mentions_only_on_failure_and_only_by_itself() -> None:
    run, place = FakeRun(), Place()
    notifier = discord(place)
    notifier.attached(run.handle)
    notifier.on_failed(failure("@everyone [click](http://x) <@1> `a` snake_case"))
    await run.finish()
    (body,) = place.bodies
    assert set(body) == {"content", "allowed_mentions"}
    assert body["allowed_mentions"] == {"parse": ["everyone"]}
    assert body["content"].startswith("@here triage-run failed")
    assert "@everyone" not in body["content"]
    assert r"\[click\](http://x)" in body["content"]
    assert r"\<@" in body["content"]
    assert r"\`a\` snake\_case" in body["content"]


async def test_discord_is_told_to_mention_nobody_otherwise() -> None:
    run, place = FakeRun(), Place()
    notifier = discord(place)
    notifier.attached(run.handle)
    notifier.on_completed(completion())
    await run.finish()
    assert place.bodies[0]["allowed_mentions"] == {"parse": []}
    assert "@" not in place.bodies[0]["content"]


@pytest.mark.parametrize("sign", ["x", "_", "\N{PARTY POPPER}"])
def test_discord_gets_no_more_than_it_takes(sign: str) -> None:
    content = discord(Place()).payload(Message("test", "1", sign * 5_000))["content"]
    assert LIMIT - 2 <= len(content.encode("utf-16-le")) // 2 <= LIMIT
    assert content.endswith("…")


async def test_a_webhook_always_gets_the_same_keys() -> None:
    run, place = FakeRun(), Place()
    made = WebhookNotifier.from_env("W", environ={"W": "http://127.0.0.1:1/x"}, every_steps=1)
    notifier = sending(made, place)
    notifier.attached(run.handle)
    notifier.on_log(a_log(1, math.inf, eval_loss=2.25))
    await run.finish()
    notifier.on_failed(failure(step=3))
    await run.finish()
    step, failed = place.bodies
    assert set(step) == set(failed)
    assert step == {
        "event": "step",
        "run": "triage-run",
        "job": "job-1",
        "status": "running",
        "step": 1,
        "loss": None,
        "eval_loss": 2.25,
        "artifacts": None,
        "reason": None,
        "error": None,
        "at": None,
        "text": "triage-run is at step 1 of 100, eval loss 2.25.",
    }
    assert (failed["event"], failed["status"], failed["step"]) == ("failed", "failed", 3)
    assert failed["error"] == "out of memory"
    keys = [request.headers["Idempotency-Key"] for request in place.requests]
    assert keys[0] != keys[1]


async def test_progress_only_where_asked_for_and_once_each_so_many_steps() -> None:
    quiet, run, place = Place(), FakeRun(), Place()
    silent, notifier = slack(quiet), slack(place, every_steps=10)
    for one in (silent, notifier):
        one.attached(run.handle)
    for step in (5, 9, 10, 11, 24, 25):  # 10 and 20 are passed
        silent.on_log(a_log(step))
        notifier.on_log(a_log(step))
        await run.finish()
    assert quiet.texts == []
    assert place.texts == [
        "triage-run is at step 10 of 100, loss 1.5.",
        "triage-run is at step 24 of 100, loss 1.5.",
    ]


def a_guard(phase: str) -> Finding:
    data = {"guard": "ceiling", "reason": "loss 7.1 > 5", "phase": phase, "action": "now"}
    return Finding("guard", "EarlyStopping", 40, data)


async def test_a_guard_is_told_when_it_stops_the_run_and_mentions_nobody() -> None:
    run, place = FakeRun(), Place()
    notifier = slack(place)
    notifier.attached(run.handle)
    for phase in ("armed", "stopping", "stopping", "stopped"):
        notifier.on_finding(a_guard(phase))
    await run.finish()
    assert place.texts == ["EarlyStopping stops triage-run at step 40 (job job-1): loss 7.1 &gt; 5"]


async def test_a_guard_that_could_not_stop_the_run_is_told() -> None:
    run, place = FakeRun(), Place()
    notifier = slack(place)
    notifier.attached(run.handle)
    finding = a_guard("failed")
    finding.data["message"] = "The backend refused."
    notifier.on_finding(finding)
    await run.finish()
    (text,) = place.texts
    assert text.startswith("EarlyStopping could not stop triage-run")
    assert text.endswith("loss 7.1 &gt; 5; The backend refused.")


async def test_samples_only_where_asked_for() -> None:
    run, place, quiet = FakeRun(), Place(), Place()
    silent, notifier = slack(quiet), slack(place, samples=True)
    data = {"prompt": 0, "text": "Hi?", "reply": "<b>", "passed": False, "verdict": "no JSON"}
    for one in (silent, notifier):
        one.attached(run.handle)
        one.on_finding(Finding("sample", "PromptProbe", None, {**data, "target": "base"}))
        one.on_finding(Finding("sample", "PromptProbe", 25, {**data, "target": "checkpoint"}))
    await run.finish()
    assert quiet.texts == []
    assert place.texts == [
        "triage-run, step 25: “Hi?” → “&lt;b&gt;” [not passed: no JSON]",
    ]


async def test_only_what_is_wanted_is_told() -> None:
    run, place = FakeRun(), Place()
    notifier = slack(place, on=("failed",))
    notifier.attached(run.handle)
    notifier.on_finding(a_guard("stopping"))
    notifier.on_completed(completion())
    await run.finish()
    assert place.texts == []


async def test_once_even_after_a_restart_that_replays() -> None:
    run, place = FakeRun(), Place()
    for _ in range(2):
        notifier = slack(place, every_steps=10)
        notifier.attached(run.handle)
        notifier.on_log(a_log(10))
        notifier.on_completed(completion())
        await run.finish()
    assert len(place.texts) == 2
    other = Place()
    elsewhere = sending(SlackNotifier.from_env("S", environ={"S": f"{URL}2"}), other)
    elsewhere.attached(run.handle)
    elsewhere.on_completed(completion())
    await run.finish()
    assert len(other.texts) == 1  # another destination has not heard of it
    assert not any("hush" in mark for mark in run.marks)


async def test_the_past_is_learnt_and_not_told() -> None:
    run, place = FakeRun(), Place()
    notifier = slack(place, every_steps=10)
    notifier.attached(run.handle)
    for ctx in (a_log(10), a_log(20), completion(), failure()):
        notifier.on_replayed(ctx)
    notifier.on_log(a_log(21))
    await run.finish()
    assert place.texts == []
    notifier.on_log(a_log(30))
    await run.finish()
    assert len(place.texts) == 1


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2026-08-07T09:59:54+00:00", False),
        ("2026-08-07T09:59:56Z", True),
        ("2026-08-07T09:59:56", True),
        ("2026-08-07T11:59:54+02:00", False),
        (None, True),
        ("yesterday", True),
    ],
)
async def test_what_happened_long_before_the_watching_is_no_news(
    at: str | None, told: bool
) -> None:
    for ended in (completion(timestamp=at), failure(timestamp=at), a_log(10, timestamp=at)):
        run, place = FakeRun(), Place()
        notifier = slack(place, every_steps=10)
        notifier.attached(run.handle)
        {"C": notifier.on_completed, "F": notifier.on_failed, "L": notifier.on_log}[  # type: ignore[operator]
            type(ended).__name__[0]
        ](ended)
        await run.finish()
        assert len(place.texts) == told


LOST = [StreamState("reconnecting", n, 1.0, "no route") for n in (1, 2, 3)]


async def test_a_connection_that_stays_away_is_told_once() -> None:
    run, place, time = FakeRun(), Place(), Time(by_hand=True)
    notifier = slack(place, time, connection_minutes=2)
    notifier.attached(run.handle)
    notifier.on_connection(StreamState("connecting"))
    for state in LOST:
        notifier.on_connection(state)
        notifier.on_connection(StreamState("connecting"))
        await time.advance(59)
    await run.finish()
    notifier.on_connection(LOST[2])
    await time.advance(600)
    await run.finish()
    (text,) = place.texts
    assert "No connection to triage-run for 2 minutes" in text
    assert "no route" in text


async def test_a_connection_that_comes_back_in_time_is_not_told() -> None:
    run, place, time = FakeRun(), Place(), Time(by_hand=True)
    notifier = slack(place, time, connection_minutes=2)
    notifier.attached(run.handle)
    for _ in range(3):
        notifier.on_connection(LOST[0])
        await time.advance(100)
        notifier.on_connection(StreamState("live"))
    await run.finish()
    assert place.texts == []


async def test_a_server_that_hangs_up_at_once_does_not_count_as_back() -> None:
    run, place, time = FakeRun(), Place(), Time(by_hand=True)
    notifier = slack(place, time, connection_minutes=2)
    notifier.attached(run.handle)
    for state in LOST:
        notifier.on_connection(state)
        await time.advance(50)
        notifier.on_connection(StreamState("live"))
    notifier.on_connection(StreamState("reconnecting", 4, 1.0, "no route"))
    await turns()
    await run.finish()
    assert len(place.texts) == 1


async def test_a_second_outage_is_told_again() -> None:
    run, place, time = FakeRun(), Place(), Time(by_hand=True)
    notifier = slack(place, time, connection_minutes=2)
    notifier.attached(run.handle)
    for _ in range(2):
        notifier.on_connection(LOST[0])
        await time.advance(121)
        await run.finish()
        notifier.on_connection(StreamState("live"))
    assert len(place.texts) == 2


async def test_rotating_connections_is_what_servers_do() -> None:
    run, time = FakeRun(), Time(by_hand=True)
    notifier = slack(Place(), time)
    notifier.attached(run.handle)
    notifier.on_connection(StreamState("reconnecting", 0, 1.0, "the server closed the stream"))
    await turns()
    assert time.slept == []


@pytest.mark.parametrize("how", ["ended", "completed", "failed"])
async def test_no_timer_holds_up_the_end_of_a_run(how: str) -> None:
    run, time = FakeRun(), Time(by_hand=True)
    notifier = slack(Place(), time)
    notifier.attached(run.handle)
    notifier.on_connection(LOST[0])
    await turns()
    if how == "ended":
        notifier.on_connection(StreamState("ended"))
    elif how == "completed":
        notifier.on_completed(completion())
    else:
        notifier.on_failed(failure())
    await run.finish()  # would wait for ever
    assert time.seconds == 0


async def test_without_an_address_nothing_happens() -> None:
    for environ in ({}, {"SLACK_WEBHOOK_URL": " "}):
        notifier = SlackNotifier.from_env(environ=environ, every_steps=1)
        assert not notifier.is_enabled
        run = FakeRun()
        notifier.attached(run.handle)
        notifier.on_log(a_log(1))
        notifier.on_connection(LOST[0])
        notifier.on_finding(a_guard("stopping"))
        notifier.on_failed(failure())
        await run.finish()
        assert run.findings == []
        assert run.marks == set()


async def test_an_address_that_is_lost_with_its_process_is_told_once() -> None:
    run, place = FakeRun(), Place()
    notifier = slack(place, every_steps=10)
    notifier.attached(run.handle)
    notifier.on_log(a_log(10))
    await run.finish()
    told = len(run.findings)
    for _ in range(2):
        bare = SlackNotifier.from_env(environ={}, every_steps=10)
        bare.attached(run.handle)
        bare.on_log(a_log(20))
        bare.on_log(a_log(30))
        await run.finish()
        (notice,) = run.notices[told:]
        assert notice["ok"] is False
        assert notice["error"].startswith("Slack (no address) in the process that took the run up")
        assert notice["event"] == "step"
        told += 1
    other = DiscordNotifier.from_env(environ={}, every_steps=10)
    other.attached(run.handle)
    other.on_log(a_log(40))
    await run.finish()
    assert len(run.notices) == told  # it never had one


async def test_a_server_that_drops_repeats_gets_every_test() -> None:
    place = Place()
    hook = sending(WebhookNotifier.from_env(environ={"NOTIFY_WEBHOOK_URL": URL}), place)
    assert [(await send_test(hook)).ok for _ in range(2)] == [True, True]
    assert len({request.headers["Idempotency-Key"] for request in place.requests}) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"on": "failed"},
        {"on": ("failed", "finished")},
        {"on": ("",)},
        {"every_steps": 0},
        {"every_steps": 2.5},
        {"every_steps": True},
        {"connection_minutes": 0},
        {"connection_minutes": math.nan},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SlackNotifier.from_env("UNSET", environ={}, **options)


async def test_one_notifier_can_serve_one_run_after_another() -> None:
    place = Place()
    notifier = slack(place, every_steps=10)
    for number in range(2):
        run = FakeRun()
        run.job = a_job(id=f"job-{number}")
        notifier.attached(run.handle)
        notifier.on_log(a_log(10))
        notifier.on_completed(completion(job=a_job("completed", id=f"job-{number}")))
        await run.finish()
    assert len(place.texts) == 4
