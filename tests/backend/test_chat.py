"""Chat through the server: checks, streaming, stopping."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import aconnect_sse

from arkor_tui.backend.chatrequest import InvalidChatError, check_chat

from .conftest import everything, submit, until

USER = [{"role": "user", "content": "one two three"}]
BASE: dict[str, Any] = {"messages": USER, "baseModel": "arkor-tui/tiny"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


async def ask(client: httpx.AsyncClient, **request: Any) -> httpx.Response:
    return await client.post("/v1/inference/chat", json={**BASE, "stream": False, **request})


async def test_a_whole_reply(client: httpx.AsyncClient) -> None:
    reply = (await ask(client)).json()
    assert reply["choices"][0]["message"] == {"role": "assistant", "content": "one two three "}
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


async def test_a_streamed_reply_comes_piece_by_piece(client: httpx.AsyncClient) -> None:
    async with aconnect_sse(client, "POST", "/v1/inference/chat", json=BASE) as source:
        data = [frame.data async for frame in source.aiter_sse()]
    assert data[-1] == "[DONE]"
    chunks = [json.loads(text)["choices"][0] for text in data[:-1]]
    assert [chunk["delta"].get("content") for chunk in chunks] == ["one ", "two ", "three ", None]
    assert chunks[-1]["finish_reason"] == "stop"


async def test_a_client_that_goes_away_stops_the_generation(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    marker = tmp_path / "stopped"
    request = {**BASE, "messages": [{"role": "user", "content": f"!until={marker}"}]}
    async with client.stream("POST", "/v1/inference/chat", json=request) as reply:
        async for _ in reply.aiter_bytes():
            break
    # another request passes through the same process, so the stop has been read by then
    while not marker.exists():
        await ask(client)


async def test_a_tool_call_has_no_content(client: httpx.AsyncClient) -> None:
    messages = [{"role": "user", "content": "!tool"}]
    reply = (await ask(client, messages=messages, tools=[TOOL], toolChoice="required")).json()
    assert reply["choices"][0]["finish_reason"] == "tool_calls"
    assert reply["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "f"
    assert reply["choices"][0]["message"]["content"] is None


async def test_a_refusal_of_the_engine_has_its_status(client: httpx.AsyncClient) -> None:
    for stream in (True, False):
        messages = [{"role": "user", "content": "!refuse"}]
        response = await ask(client, messages=messages, stream=stream)
        assert response.status_code == 400
        assert response.json() == {"error": "no such schema", "code": "invalid_schema"}


async def test_a_failure_in_the_middle_of_a_stream_is_told(client: httpx.AsyncClient) -> None:
    request = {**BASE, "messages": [{"role": "user", "content": "one !break"}]}
    async with aconnect_sse(client, "POST", "/v1/inference/chat", json=request) as source:
        sent = [frame async for frame in source.aiter_sse()]
    assert [frame.event for frame in sent[-2:]] == ["error", "end"]
    assert json.loads(sent[-2].data)["error"] == "broke"


async def test_a_dead_engine_is_told_and_comes_back(client: httpx.AsyncClient) -> None:
    messages = [{"role": "user", "content": "!die"}]
    response = await ask(client, messages=messages)
    assert response.status_code == 503
    assert (await ask(client)).status_code == 200


async def test_adapters_that_are_not_there_yet(client: httpx.AsyncClient, script: Any) -> None:
    job_id = await submit(client, script("started", "checkpoint 5", "wait /nowhere"))
    await until(client, job_id, "checkpoint.saved")
    request: dict[str, Any] = {"messages": USER, "stream": False}

    async def status(adapter: dict[str, Any]) -> int:
        body = {**request, "adapter": adapter}
        return (await client.post("/v1/inference/chat", json=body)).status_code

    assert await status({"kind": "checkpoint", "jobId": job_id, "step": 5}) == 200
    assert await status({"kind": "checkpoint", "jobId": job_id, "step": 6}) == 404
    assert await status({"kind": "final", "jobId": job_id}) == 404
    assert await status({"kind": "final", "jobId": "job_nothing"}) == 404
    await client.post(f"/v1/jobs/{job_id}/cancel")


async def test_the_final_adapter_of_a_completed_job(client: httpx.AsyncClient, script: Any) -> None:
    job_id = await submit(client, script("started", "complete"))
    await everything(client, job_id)
    body = {"messages": USER, "stream": False, "adapter": {"kind": "final", "jobId": job_id}}
    assert (await client.post("/v1/inference/chat", json=body)).status_code == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"baseModel": None}, "exactly one of adapter and baseModel"),
        ({"adapter": {"kind": "final", "jobId": "j"}}, "exactly one of adapter and baseModel"),
        ({"baseModel": None, "adapter": {"kind": "checkpoint", "jobId": "j"}}, "step"),
        ({"baseModel": None, "adapter": {"kind": "x", "jobId": "j"}}, "kind"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user"}]}, "content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": []}]}, "tool_calls"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"topP": -0.1}, "topP"),
        ({"maxTokens": 0}, "maxTokens"),
        ({"maxTokens": 1.5}, "maxTokens"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"seed": "x"}, "seed"),
        ({"stream": "yes"}, "stream"),
        ({"logprobs": True}, "logprobs is not supported"),
        ({"logitBias": {"1": 2}}, "logitBias is not supported"),
        ({"presencePenalty": 1}, "presencePenalty is not supported"),
        ({"unheard": 1}, "unheard is not a field"),
        ({"tools": [TOOL]}, "not configured"),
        ({"tools": [TOOL], "toolChoice": "auto"}, "not configured"),
        ({"tools": [TOOL], "toolChoice": {"function": {"name": "g"}}}, "toolChoice"),
        ({"tools": []}, "tools"),
        ({"toolChoice": "required"}, "toolChoice needs tools"),
        ({"responseFormat": {"type": "yaml"}}, "responseFormat"),
        ({"responseFormat": {"type": "json_schema", "json_schema": {"name": "x"}}}, "schema"),
        ({"structuredOutputs": {}}, "exactly one"),
        ({"structuredOutputs": {"regex": "a", "choice": ["b"]}}, "exactly one"),
        ({"structuredOutputs": {"choice": []}}, "choice"),
        ({"structuredOutputs": {"grammar": " "}}, "grammar"),
        ({"structuredOutputs": {"json_object": False}}, "json_object"),
        ({"structuredOutputs": {"xml": 1}}, "unknown parts"),
        (
            {
                "structuredOutputs": {"regex": "a"},
                "responseFormat": {"type": "json_object"},
            },
            "exclude each other",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidChatError, match=said):
        check_chat({**BASE, **change})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        {
            "type": "object",
            "properties": {"a": {"type": "array", "items": {"type": "object"}}},
            "required": ["a"],
            "additionalProperties": False,
        },
    ],
)
def test_a_strict_schema_must_be_closed_everywhere(schema: dict[str, Any]) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    with pytest.raises(InvalidChatError) as refused:
        check_chat({**BASE, "responseFormat": form})
    assert refused.value.code == "invalid_schema"
    form["json_schema"]["strict"] = False  # type: ignore[index]
    assert check_chat({**BASE, "responseFormat": form}).spec.constraint is not None


def test_what_is_asked_for_reaches_the_engine() -> None:
    checked = check_chat(
        {
            **BASE,
            "temperature": 0,
            "topP": 0.5,
            "maxTokens": 9,
            "stop": "x",
            "seed": 4,
            "structuredOutputs": {"choice": ["a", "b"], "disable_any_whitespace": True},
        }
    )
    spec = checked.spec
    assert (spec.temperature, spec.top_p, spec.max_tokens, spec.stop, spec.seed) == (
        0.0,
        0.5,
        9,
        ["x"],
        4,
    )
    assert spec.constraint is not None
    assert spec.constraint.kind == "choice"
    assert spec.constraint.options == {"disable_any_whitespace": True}
    assert check_chat({**BASE, "tools": [TOOL], "toolChoice": "none"}).spec.tools == []
    named = {"type": "function", "function": {"name": "f"}}
    assert check_chat({**BASE, "tools": [TOOL], "toolChoice": named}).spec.tool_choice == "f"
