"""Talking to a checkpoint from a callback: always to exactly that one."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_tui import ApiError, CallbackError, CheckpointContext, CompletedContext, StartedContext
from arkor_tui.errors import UsageError
from tests.support.frames import END, checkpoint, completed, frame, started
from tests.support.scripted import JOB_ID, SCOPE, Answer, Server, Stream, stream
from tests.support.trainers import a_trainer

CHAT = "/v1/inference/chat"
REPLY = Answer(200, {"choices": [{"index": 0, "message": {"content": "hello"}}]})


def asked(server: Server) -> list[dict[str, Any]]:
    return [request.json for request in server.asked("POST", CHAT)]


async def test_each_moment_of_a_run_has_its_own_target(server: Server) -> None:
    server.script(
        stream(started("1"), checkpoint(10, "2"), checkpoint(20, "3"), completed("4"), END)
    )
    server.answers[f"POST {CHAT}"] = REPLY
    kept: list[Any] = []

    async def ask(ctx: StartedContext | CheckpointContext | CompletedContext) -> None:
        kept.append(ctx.infer)
        assert (await ctx.infer("hi")).text == "hello"

    trainer = a_trainer(server, on_started=ask, on_checkpoint=ask, on_completed=ask)
    await trainer.wait()
    targets = [body.get("adapter") or body.get("baseModel") for body in asked(server)]
    assert targets == [
        "unsloth/gemma-4-E4B-it",
        {"kind": "checkpoint", "jobId": JOB_ID, "step": 10},
        {"kind": "checkpoint", "jobId": JOB_ID, "step": 20},
        {"kind": "final", "jobId": JOB_ID},
    ]
    # still its own target, and still usable, when the run is long over
    assert (await kept[1]("again")).text == "hello"
    assert asked(server)[-1]["adapter"]["step"] == 10
    await trainer.aclose()


async def test_options_arrive_unchanged(server: Server) -> None:
    server.answers[f"POST {CHAT}"] = REPLY
    trainer = a_trainer(server)
    await trainer.start()
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"x": None}}}]
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True}
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    infer = trainer.infer(step=5)
    await infer(
        messages,
        temperature=0.5,
        top_p=0.9,
        max_tokens=50,
        tools=tools,
        tool_choice="required",
        response_format={"type": "json_schema", "json_schema": schema},
        stop=["\n"],
        seed=1,
    )
    await infer("u", structured_outputs={"choice": ["a", "b"]})
    first, second = asked(server)
    assert first == {
        "messages": messages,
        "adapter": {"kind": "checkpoint", "jobId": JOB_ID, "step": 5},
        "temperature": 0.5,
        "topP": 0.9,
        "maxTokens": 50,
        "tools": tools,
        "toolChoice": "required",
        "responseFormat": {"type": "json_schema", "json_schema": schema},
        "stop": ["\n"],
        "seed": 1,
        "stream": False,
    }
    assert second["structuredOutputs"] == {"choice": ["a", "b"]}
    assert second["messages"] == [{"role": "user", "content": "u"}]
    assert server.asked("POST", CHAT)[0].query["orgSlug"] == SCOPE.org_slug
    await trainer.aclose()


async def test_a_reply_may_be_streamed(server: Server) -> None:
    pieces = [frame({"choices": [{"delta": {"content": part}}]}) for part in ("hel", "lo")]
    server.answers[f"POST {CHAT}"] = Stream((*pieces, frame("[DONE]")))
    trainer = a_trainer(server)
    await trainer.start()
    async with trainer.infer(base=True).stream("hi") as deltas:
        assert [delta.text async for delta in deltas] == ["hel", "lo"]
    (body,) = asked(server)
    assert (body["stream"], body["baseModel"]) == (True, "unsloth/gemma-4-E4B-it")
    await trainer.aclose()


@pytest.mark.parametrize(
    "options",
    [{"temprature": 1}, {"max_tokens": "many"}, {"structured_outputs": {}}, {"seed": 1.5}],
)
async def test_options_that_cannot_be_sent_are_a_usage_error(
    server: Server, options: dict[str, Any]
) -> None:
    trainer = a_trainer(server)
    await trainer.start()
    with pytest.raises(UsageError, match="cannot be sent"):
        await trainer.infer()("hi", **options)
    with pytest.raises(UsageError, match="cannot be sent"):
        await trainer.infer()([])
    assert asked(server) == []
    await trainer.aclose()


async def test_the_target_cannot_be_swapped_by_an_option(server: Server) -> None:
    server.answers[f"POST {CHAT}"] = REPLY
    trainer = a_trainer(server)
    await trainer.start()
    with pytest.raises(UsageError, match="Arkor has no option adapter, base_model"):
        await trainer.infer(step=5)("hi", base_model=None, adapter=None)  # type: ignore[call-arg]
    assert asked(server) == []
    await trainer.aclose()


async def test_a_refusal_reaches_the_callback_and_is_not_retried(server: Server) -> None:
    server.script(stream(checkpoint(1, "1"), END))
    server.answers[f"POST {CHAT}"] = Answer(404, {"error": "no adapter yet"})

    async def ask(ctx: CheckpointContext) -> None:
        await ctx.infer("hi")

    with pytest.raises(CallbackError, match="no adapter yet") as caught:
        await a_trainer(server, on_checkpoint=ask).wait()
    assert isinstance(caught.value.__cause__, ApiError)
    assert len(asked(server)) == 1
