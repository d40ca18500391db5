"""How messages get through, and that a run never waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from arkor_tui import Callback, CompletedContext
from arkor_tui.cli.present import finding_line
from arkor_tui.recipes.notify import (
    DiscordNotifier,
    SlackNotifier,
    WebhookNotifier,
    delivery,
    send_test,
)
from arkor_tui.recipes.notify.delivery import retry_after
from arkor_tui.run.findings import Finding
from tests.support.frames import END, completed, log
from tests.support.loopback import Loopback
from tests.support.notifying import (
    START,
    URL,
    FakeRun,
    Place,
    Time,
    a_log,
    completion,
    failure,
    sending,
    turns,
)
from tests.support.scripted import Server, stream
from tests.support.trainers import a_trainer

Answer = httpx.Response | Exception


def slack(place: Place, time: Time | None = None, **options: Any) -> SlackNotifier:
    made = SlackNotifier.from_env(environ={"SLACK_WEBHOOK_URL": URL}, **options)
    return sending(made, place, time)


async def told(*answers: Answer) -> tuple[FakeRun, Place, Time]:
    """What came of the message about a completed run."""
    run, place, time = FakeRun(), Place(*answers), Time()
    notifier = slack(place, time)
    notifier.attached(run.handle)
    notifier.on_completed(completion())
    await run.finish()
    return run, place, time


def dead() -> Exception:
    return httpx.ConnectError("All connection attempts failed")


@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx.Response(500),
        lambda: httpx.Response(503),
        lambda: httpx.Response(429),
        lambda: httpx.ReadTimeout("slow"),
        dead,
        lambda: httpx.RemoteProtocolError("gone"),
    ],
)
async def test_what_may_pass_is_tried_again_with_growing_pauses(
    answer: Callable[[], Answer],
) -> None:
    run, place, time = await told(answer(), answer(), answer())
    assert len(place.requests) == 4
    assert time.slept == [1, 2, 4]
    assert run.notices[0]["ok"] is True
    bodies = place.bodies
    assert bodies == [bodies[0]] * 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 302, 307])
async def test_what_cannot_pass_is_tried_once(status: int) -> None:
    headers = {"Location": "http://127.0.0.1/elsewhere", "Retry-After": "1"}
    run, place, _ = await told(httpx.Response(status, headers=headers))
    assert len(place.requests) == 1
    assert run.notices[0]["ok"] is False
    assert f"status {status}" in run.notices[0]["error"]
    assert "elsewhere/" not in run.notices[0]["error"]


async def test_it_gives_up_after_four_tries_and_says_so() -> None:
    run, place, _ = await told(*(httpx.Response(503) for _ in range(9)))
    assert len(place.requests) == 4
    (notice,) = run.notices
    assert notice["event"] == "completed"
    assert notice["error"].endswith("refused the message with status 503")


@pytest.mark.parametrize(
    ("header", "pause"), [("7", 7), ("0", 0), ("0.5", 0.5), ("-3", 0), ("soon", 1), ("nan", 1)]
)
async def test_a_service_that_asks_for_a_pause_gets_it(header: str, pause: float) -> None:
    _, place, time = await told(httpx.Response(429, headers={"Retry-After": header}))
    assert time.slept == [pause]
    assert len(place.requests) == 2


async def test_a_pause_that_is_too_long_is_not_waited_for() -> None:
    run, place, time = await told(httpx.Response(429, headers={"Retry-After": "3600"}))
    assert len(place.requests) == 1
    assert time.seconds == 0
    assert run.notices[0]["ok"] is False


def test_a_pause_may_be_a_date() -> None:
    assert retry_after("Fri, 07 Aug 2026 10:00:30 GMT", START) == 30
    assert retry_after("Fri, 07 Aug 2026 09:00:00 GMT", START) == 0
    assert retry_after("Fri, 99 Aug 2026", START) is None
    assert retry_after("inf", START) is None
    assert retry_after(None, START) is None


async def test_the_services_own_code_is_told_and_nothing_else_of_its_answer() -> None:
    run, _, _ = await told(httpx.Response(404, text="no_service"))
    assert run.notices[0]["error"].count("status 404 (no_service): the webhook was removed") == 1
    run, _, _ = await told(httpx.Response(404, text="<html>\x1b[31m" + "x" * 100_000))
    assert "<" not in run.notices[0]["error"]
    assert "status 404: nothing takes messages at this address" in run.notices[0]["error"]


async def test_a_server_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Place):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(delivery, "TRY_SECONDS", 0.01)
    run, place, time = FakeRun(), Silent(), Time()
    notifier = slack(place, time)
    notifier.attached(run.handle)
    notifier.on_completed(completion())
    await run.finish()
    assert len(place.requests) == 4
    assert "did not answer within" in run.notices[0]["error"]


class Gate(Place):
    """Answers only once it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self.open.wait()
        return await super().handle_async_request(request)


def a_sample(step: int) -> Finding:
    data = {"prompt": 0, "text": "Hi?", "reply": "ok", "target": "checkpoint"}
    return Finding("sample", "PromptProbe", step, data)


async def test_in_order_and_old_progress_is_left_out_where_a_destination_is_slow() -> None:
    run, place = FakeRun(), Gate()
    notifier = slack(place, every_steps=1, samples=True)
    notifier.attached(run.handle)
    notifier.on_log(a_log(1))
    notifier.on_log(a_log(2))
    await asyncio.to_thread(lambda: None)
    for _ in range(50):  # until the first message is under way
        await turns()
    notifier.on_finding(a_sample(3))
    for step in range(4, 40):
        notifier.on_log(a_log(step))
    notifier.on_completed(completion())
    place.open.set()
    await run.finish()
    kept = [text.split("triage-run")[1].split(" of")[0][:13] for text in place.texts]
    assert kept[-3:] == [", step 3: “Hi", " is at step 3", " completed wi"]
    assert len(kept) <= 4


async def test_samples_do_not_pile_up_before_a_dead_destination() -> None:
    run, place, time = FakeRun(), Place(*(dead() for _ in range(2_000))), Time()
    notifier = slack(place, time, samples=True)
    notifier.attached(run.handle)
    for step in range(500):
        notifier.on_finding(a_sample(step))
    notifier.on_completed(completion())
    await run.finish()
    # four tries to see that it is dead, one for the end of the run
    assert len(place.requests) == 5
    assert run.notices[-1]["event"] == "completed"
    assert time.seconds <= 30


async def test_a_destination_that_came_back_is_trusted_again() -> None:
    run, place, time = FakeRun(), Place(*(dead() for _ in range(5))), Time()
    notifier = slack(place, time, every_steps=1)
    notifier.attached(run.handle)
    for step in (1, 2, 3):
        notifier.on_log(a_log(step))
        await run.finish()
    place.answers = [dead()]
    notifier.on_log(a_log(4))
    await run.finish()
    assert [notice["ok"] for notice in run.notices] == [False, False, True, True]
    assert len(place.requests) == 4 + 1 + 1 + 2


async def test_nothing_is_raised_whatever_is_broken() -> None:
    class Broken(FakeRun):
        async def first_time(self, mark: str) -> bool:
            raise OSError("disk full")

        async def keep(self, finding: Finding) -> None:
            raise OSError("disk full")

    class Impossible(SlackNotifier):
        def payload(self, message: object) -> dict[str, Any]:
            raise RuntimeError(URL)

    run, place = Broken(), Place()
    notifier = slack(place)
    notifier.attached(run.handle)
    notifier.on_failed(failure())
    await run.finish()
    assert len(place.requests) == 1  # better told twice than never
    own = FakeRun()
    impossible = sending(Impossible.from_env("S", environ={"S": URL}), Place())
    impossible.attached(own.handle)
    impossible.on_failed(failure())
    await own.finish()
    assert own.notices[0]["error"].endswith("could not be used: RuntimeError")


class OpensAtTheEnd(Callback):
    """Opens a gate when the last event is told."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def on_completed(self, ctx: CompletedContext) -> None:
        self._gate.open.set()


async def test_no_event_waits_for_a_destination(server: Server) -> None:
    place = Gate()
    notifier = slack(place, every_steps=1)
    server.script(stream(*(log(step) for step in range(1, 9)), completed(), END))
    trainer = a_trainer(server, notifier, OpensAtTheEnd(place))
    result = await trainer.wait()  # would never end if a log waited for its message
    assert result.status == "completed"
    assert "completed" in place.texts[-1]


async def test_a_dead_destination_neither_fails_a_run_nor_holds_it_up(server: Server) -> None:
    place, time = Place(*(dead() for _ in range(100))), Time()
    notifier = slack(place, time, every_steps=1)
    server.script(stream(*(log(step) for step in range(1, 9)), completed(), END))
    trainer = a_trainer(server, notifier)
    result = await trainer.wait()
    assert result.status == "completed"
    assert trainer.callback_errors == []
    assert time.seconds <= 30
    last = trainer.hooks.findings[-1]
    assert (last.kind, last.data["event"], last.data["ok"]) == ("notice", "completed", False)


# what a refusal says, and what to do about it


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, "no_service"), "status 404 (no_service): the webhook was removed or disabled; make"),
        ((403, "invalid_token"), "status 403 (invalid_token): the webhook was removed"),
        ((410, "channel_is_archived"), "(channel_is_archived): unarchive its channel"),
        ((404, "channel_not_found"), "(channel_not_found): its channel is gone"),
        ((400, "invalid_payload"), "(invalid_payload): that is a mistake of arkor-tui"),
        ((403, "team_disabled"), "(team_disabled): its workspace is disabled"),
        ((404, "<html>gone</html>"), "status 404: nothing takes messages at this address"),
        ((403, ""), "status 403: it does not accept this address"),
        ((400, ""), "refused the message with status 400"),
        ((302, ""), "redirects elsewhere (status 302), which is not followed: set the address"),
    ],
)
async def test_slack_s_refusals_say_what_to_do(answer: tuple[int, str], said: str) -> None:
    """r8: the server's reason, and what to do."""
    run, _, _ = await told(*[httpx.Response(answer[0], text=answer[1])] * 4)
    (notice,) = run.notices
    assert said in notice["error"]
    assert "hush" not in notice["error"]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            400,
            {
                "message": "Webhooks posted to forum channels must have a thread_name or thread_id",
                "code": 220001,
            },
            "(Webhooks posted to forum channels must have a thread_name or thread_id, code 220001)"
            ": a forum channel takes messages in its threads only; add ?thread_id=ID",
        ),
        (
            404,
            {"message": "Unknown Webhook", "code": 10015},
            "code 10015): the webhook was deleted",
        ),
        (401, {"message": "Invalid Webhook Token", "code": 50027}, "the webhook was deleted"),
        (404, {"message": "Unknown Channel", "code": 10003}, "check ?thread_id= in the address"),
        (400, {"message": "Thread is archived", "code": 50083}, "its thread is archived"),
        (400, {"message": "x/9", "code": 220003}, "(code 220003): only a forum channel"),
        (429, {"message": "You are being rate limited.", "retry_after": 1}, "too many messages"),
        (404, {"message": "404: Not Found", "code": 0}, "(code 0): nothing takes messages"),
        (400, {"message": ["x"], "code": "hush"}, "with status 400"),
        (400, {"code": 10**400}, "with status 400"),
        (400, [], "with status 400"),
    ],
)
async def test_discord_s_refusals_say_what_to_do(status: int, body: Any, said: str) -> None:
    """r9, and other codes of Discord."""
    address = "https://discord.com/api/webhooks/123456789/hushhushtoken"
    if "220001" not in said:
        address += "?thread_id=77777777"
    made = DiscordNotifier.from_env("D", environ={"D": address})
    run = FakeRun()
    notifier = sending(made, Place(*[httpx.Response(status, json=body)] * 4))
    notifier.attached(run.handle)
    notifier.on_completed(completion())
    await run.finish()
    (notice,) = run.notices
    assert said in notice["error"]
    for part in ("hush", "123456789", "77777777"):
        assert part not in notice["error"]


async def test_a_refusal_is_told_once_and_kept_each_time(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """r8: in a script, where nobody shows findings, by the log; in a view, by the finding."""
    place = Place(*[httpx.Response(404, text="no_service")] * 9)
    notifier = slack(place, every_steps=1)
    server.script(stream(*(log(step) for step in range(1, 4)), completed(), END))
    trainer = a_trainer(server, notifier)
    await trainer.wait()
    (record,) = caplog.records
    assert "status 404 (no_service): the webhook was removed" in record.getMessage()
    assert record.levelname == "WARNING"
    kept = [finding for finding in trainer.hooks.findings if finding.kind == "notice"]
    assert len(kept) > 1
    lines = [line for finding in kept if (line := finding_line(finding))]
    assert len(lines) == 1
    assert "nobody was told: Slack hooks.slack.com/" in lines[0]
    assert "(no_service): the webhook was removed" in lines[0]


async def test_a_variable_that_names_no_usable_proxy_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """r19 and a11: a notifier, too, tells the variable; this machine needs no proxy."""
    monkeypatch.setenv("ALL_PROXY", "socks9://me:hushhush@proxy.example")
    made = SlackNotifier.from_env(environ={"SLACK_WEBHOOK_URL": URL})
    outcome = await send_test(made)
    assert not outcome.ok
    assert "cannot be used: ALL_PROXY does not name a proxy that can be used." in outcome.text
    assert "hush" not in outcome.text
    run, made.clock = FakeRun(), Time().clock
    made.attached(run.handle)
    made.on_completed(completion())
    await run.finish()
    assert "cannot be used: ALL_PROXY" in run.notices[0]["error"]


@pytest.mark.parametrize("exempt", ["localhost,[::1]", "hooks.slack.com,[::1]"])
async def test_no_proxy_with_brackets_spoils_no_message(
    exempt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r19."""
    with Loopback() as place:
        monkeypatch.setenv("NO_PROXY", exempt)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        address = f"http://127.0.0.1:{place.port}/hook"
        outcome = await send_test(WebhookNotifier.from_env("W", environ={"W": address}))
        assert outcome.ok
        assert len(place.requests) == 1
