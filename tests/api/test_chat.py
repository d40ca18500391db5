"""The pieces of a streamed reply, and the parts of a whole one."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from arkor_tui.api.chat import (
    AdapterRef,
    ChatDelta,
    ChatRequest,
    StructuredOutputs,
    parse_delta,
    parse_reply,
)
from arkor_tui.api.deltas import read_deltas
from arkor_tui.api.errors import NotArkorError, ReplyFailedError

USER = [{"role": "user", "content": "hi"}]


def openai(**delta: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("not json", "not json"),
        ("NaN", "NaN"),
        ("{broken", "{broken"),
        ('"a string"', "a string"),
        ('""', ""),
        (openai(content="from the delta"), "from the delta"),
        ('{"choices":[{"delta":{"content":"d"}}],"content":"c","text":"t"}', "d"),
        ('{"choices":[{"delta":{"content":null}}],"content":"c","text":"t"}', "c"),
        ('{"choices":[],"content":"c"}', "c"),
        ('{"content":"c","text":"t"}', "c"),
        ('{"content":5,"text":"t"}', "t"),
        ('{"text":"t"}', "t"),
        ('{"other":"x"}', ""),
        ('{"choices":[null]}', ""),
        ('{"choices":{"0":1}}', ""),
        ("[]", ""),
        ("42", ""),
        ("null", ""),
        ("true", ""),
        (r'"\ud83d"', "�"),
    ],
)
def test_the_text_of_a_frame_is_the_first_that_fits(data: str, text: str) -> None:
    assert parse_delta(data).text == text


def test_a_frame_may_carry_the_finish_the_usage_and_tool_calls() -> None:
    call = {"index": 0, "function": {"name": "f", "arguments": "{"}}
    assert parse_delta(openai(tool_calls=[call])).tool_calls == [call]
    last = parse_delta('{"choices":[{"delta":{},"finish_reason":"length"}],"usage":{"n":1}}')
    assert last == ChatDelta("", "length", {"n": 1})


@given(st.text())
def test_any_text_gives_a_piece(data: str) -> None:
    assert isinstance(parse_delta(data).text, str)


async def chunks(*parts: bytes) -> Any:
    for part in parts:
        yield part


async def texts(*parts: bytes, content_type: str = "text/event-stream") -> list[str]:
    response = httpx.Response(200, headers={"content-type": content_type}, content=chunks(*parts))
    async with aclosing(read_deltas(response)) as deltas:
        return [delta.text async for delta in deltas]


async def test_pings_and_empty_frames_are_skipped() -> None:
    assert await texts(b'event: ping\ndata: {}\n\ndata: "a"\n\nid: 1\n\n\n\ndata: "b"\n\n') == [
        "a",
        "b",
    ]


@pytest.mark.parametrize(
    "end", [b"event: end\n\n", b"event: end\ndata: {}\n\n", b"data: [DONE]\n\n"]
)
async def test_what_follows_the_end_is_ignored(end: bytes) -> None:
    assert await texts(b'data: "a"\n\n' + end, b'data: "late"\n\n') == ["a"]


async def test_a_reply_that_only_ends_is_empty_and_fine() -> None:
    assert await texts(b"data: [DONE]\n\n") == []


@pytest.mark.parametrize("body", [b"", b"event: ping\ndata: {}\n\n"])
async def test_no_reply_at_all_is_an_error(body: bytes) -> None:
    with pytest.raises(NotArkorError, match="empty reply"):
        await texts(body)


async def test_characters_cut_between_pieces_are_whole_again() -> None:
    data = 'data: "é😀"\n\n'.encode()
    assert await texts(*(data[i : i + 1] for i in range(len(data)))) == ["é😀"]


async def test_the_last_frame_may_lack_its_blank_line() -> None:
    assert await texts(b'data: "a"\n\ndata: "b"') == ["a", "b"]


async def test_an_answer_that_is_no_event_stream_is_refused() -> None:
    with pytest.raises(NotArkorError, match="not an event stream"):
        await texts(b"{}", content_type="application/json")


# requests


def test_a_request_has_exactly_one_target() -> None:
    adapter = AdapterRef(kind="final", job_id="j")
    for targets in ({}, {"adapter": adapter, "base_model": "m"}):
        with pytest.raises(ValidationError):
            ChatRequest.model_validate({"messages": USER, **targets})


@pytest.mark.parametrize(("kind", "step"), [("final", 5), ("checkpoint", None)])
def test_a_step_goes_with_a_checkpoint_and_only_so(kind: str, step: int | None) -> None:
    with pytest.raises(ValidationError):
        AdapterRef.model_validate({"kind": kind, "job_id": "j", "step": step})


def test_messages_tools_and_schemas_go_out_exactly_as_given() -> None:
    schema = {"type": "object", "properties": {"a_b": {"type": ["string", "null"], "enum": None}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    wire = ChatRequest(
        messages=USER,
        base_model="m",
        top_p=0.5,
        tools=tools,
        tool_choice={"type": "function", "function": {"name": "f"}},
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
        structured_outputs=StructuredOutputs.model_validate(
            {"json": schema, "whitespace_pattern": " ?"}
        ),
    ).to_wire()
    assert wire["tools"] == tools
    assert wire["toolChoice"] == {"type": "function", "function": {"name": "f"}}
    assert wire["responseFormat"]["json_schema"]["schema"] == schema
    assert wire["structuredOutputs"] == {"json": schema, "whitespace_pattern": " ?"}
    assert wire["topP"] == 0.5


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"regex": "a", "grammar": "b"},
        {"choice": []},
        {"grammar": "  "},
        {"json_object": False},
        {"novel": 1, "regex": "a"},
    ],
)
def test_a_constraint_is_exactly_one_and_not_empty(outputs: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StructuredOutputs.model_validate(outputs)


# replies


def test_a_reply_gives_its_first_choice() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, "junk"]}
    body = {"choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}], "id": 1}
    reply = parse_reply(json.dumps(body).encode())
    assert (reply.text, reply.finish_reason, reply.tool_calls) == ("", "tool_calls", [call])


def test_a_reply_without_choices_is_empty() -> None:
    reply = parse_reply(b"{}")
    assert (reply.text, reply.finish_reason, reply.tool_calls) == ("", None, [])


@given(st.binary())
def test_any_bytes_are_a_reply_or_a_value_error(data: bytes) -> None:
    try:
        parse_reply(data)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"error": "the engine ended early", "code": "engine_lost"}', "the engine ended early"),
        ("out of \x1b[31mmemory", "out of"),
        ("[]", "[]"),
    ],
)
async def test_a_reply_that_the_server_gives_up_is_no_whole_answer(data: str, words: str) -> None:
    half = f"data: {openai(content='half')}\n\n"
    body = f"{half}event: error\ndata: {data}\n\nevent: end\ndata: {{}}\n\n".encode()
    stream = {"content-type": "text/event-stream"}
    response = httpx.Response(200, headers=stream, content=chunks(body))
    told = []
    with pytest.raises(ReplyFailedError, match="broke off") as caught:
        async with aclosing(read_deltas(response)) as deltas:
            async for delta in deltas:
                told.append(delta.text)
    assert told == ["half"]
    assert words in caught.value.message
    assert "\x1b" not in caught.value.message
