"""Functions that a model calls: their schema, the round trip, and every way it can go wrong."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import pytest
import pytest_asyncio
from pydantic import BaseModel, Field

from arkor_tui import ApiError
from arkor_tui.chat.infer import Infer
from arkor_tui.chat.tools import Tool, ToolCall, tool
from arkor_tui.errors import UsageError
from tests.support.scripted import Answer, Server
from tests.support.trainers import a_trainer

CHAT = "/v1/inference/chat"


class Item(BaseModel):
    name: str
    count: int = 1


@tool
def get_order(order_id: str) -> str:
    """Look an order up.

    Args:
        order_id: As printed on the invoice,
            without the dash.

    Returns:
        Where it is.
    """
    return {"4711": "shipped"}[order_id]


@tool
async def price(items: list[Item], currency: Literal["EUR", "USD"] = "EUR") -> dict[str, Any]:
    """What items cost."""
    await asyncio.sleep(0)
    return {"total": sum(item.count for item in items), "currency": currency}


def calling(*calls: tuple[str, Any], content: str | None = None) -> Answer:
    made = [
        {
            "id": f"c{number}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": given if isinstance(given, str) else json.dumps(given),
            },
        }
        for number, (name, given) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": content, "tool_calls": made}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    return Answer(200, {"choices": [choice]})


def saying(text: str, finish: str = "stop") -> Answer:
    message = {"role": "assistant", "content": text}
    return Answer(200, {"choices": [{"index": 0, "finish_reason": finish, "message": message}]})


@pytest_asyncio.fixture
async def infer(server: Server) -> AsyncIterator[Infer]:
    """Talks to the final adapter on the scripted server."""
    trainer = a_trainer(server)
    await trainer.start()
    yield trainer.infer()
    await trainer.aclose()


def script(server: Server, *answers: Answer) -> None:
    server.answers[f"POST {CHAT}"] = list(answers)


def sent(server: Server) -> list[dict[str, Any]]:
    return [request.json for request in server.asked("POST", CHAT)]


def test_the_schema_comes_from_hints_and_docstring() -> None:
    assert get_order.to_wire() == {
        "type": "function",
        "function": {
            "name": "get_order",
            "description": "Look an order up.",
            "parameters": {
                "type": "object",
                "properties": {
                    "order_id": {
                        "type": "string",
                        "description": "As printed on the invoice, without the dash.",
                    }
                },
                "required": ["order_id"],
                "additionalProperties": False,
            },
        },
    }
    parameters = price.to_wire()["function"]["parameters"]
    assert parameters["required"] == ["items"]
    assert parameters["properties"]["currency"]["enum"] == ["EUR", "USD"]
    assert parameters["$defs"]["Item"]["properties"]["name"] == {"type": "string"}


def test_a_tool_is_still_a_function() -> None:
    assert get_order("4711") == "shipped"
    assert isinstance(get_order, Tool)


def test_names_texts_and_odd_parameters() -> None:
    @tool(name="look-up", description="Looks.")
    def any_name(
        schema: Annotated[str, Field(description="own words")], json: int = 2, *, copy: bool = True
    ) -> str:
        """Not this."""
        return f"{schema} {json} {copy}"

    function = any_name.to_wire()["function"]
    assert (function["name"], function["description"]) == ("look-up", "Looks.")
    assert function["parameters"]["properties"]["schema"]["description"] == "own words"
    assert list(function["parameters"]["properties"]) == ["schema", "json", "copy"]
    assert asyncio.run(any_name.run('{"schema": "s"}')) == "s 2 True"

    @tool
    def nothing() -> None:
        pass

    assert nothing.to_wire()["function"]["parameters"]["properties"] == {}
    assert asyncio.run(nothing.run("")) == "null"


def test_functions_that_are_no_tools() -> None:
    def star(*args: str) -> str:
        return ""

    def bare(x) -> str:  # type: ignore[no-untyped-def]
        return str(x)

    def odd(x: threading.Lock) -> str:  # type: ignore[valid-type]
        return ""

    def unknown(x: NoSuchType) -> str:  # type: ignore[name-defined] # noqa: F821
        return ""

    for function, said in (
        (star, r"\*args"),
        (bare, "x of the tool bare has no"),
        (odd, "odd"),
        (unknown, "hints of the tool unknown cannot be read: name 'NoSuchType'"),
    ):
        with pytest.raises(UsageError, match=said):
            tool(function)
    with pytest.raises(UsageError, match="no name"):
        tool(lambda: "")


async def test_results_become_text() -> None:
    @tool
    def item(count: int) -> Item:
        return Item(name="pen", count=count)

    @tool
    def thing() -> object:
        return object()

    assert await item.run('{"count": 3}') == '{"name":"pen","count":3}'
    assert await price.run('{"items": [{"name": "a", "count": 2}, {"name": "b"}]}') == (
        '{"total":3,"currency":"EUR"}'
    )
    with pytest.raises(ValueError, match="cannot be told as JSON"):
        await thing.run("{}")


async def test_a_plain_function_may_give_something_to_wait_for() -> None:
    @tool
    def later(order_id: str) -> Any:
        """Look it up.

        Args:
            order_id: The number

                on the slip.
        """

        async def look() -> str:
            return f"{order_id} was shipped"

        return look()

    assert await later.run('{"order_id": "4711"}') == "4711 was shipped"
    (known,) = later.to_wire()["function"]["parameters"]["properties"].values()
    assert known["description"] == "The number on the slip."


async def test_a_choice_may_be_given_as_the_wire_has_it(server: Server, infer: Infer) -> None:
    script(server, saying("no need"))
    choice = {"type": "function", "function": {"name": "get_order"}}
    await infer.with_tools("x", [get_order], tool_choice=choice)
    assert sent(server)[0]["toolChoice"] == choice


async def test_a_plain_function_runs_beside_the_event_loop() -> None:
    where: list[int] = []

    @tool
    def note() -> str:
        where.append(threading.get_ident())
        return "ok"

    await note.run("{}")
    assert where != [threading.get_ident()]


async def test_the_round_trip(server: Server, infer: Infer) -> None:
    script(
        server,
        calling(("get_order", {"order_id": "4711"}), content="Let me look."),
        calling(("price", {"items": [{"name": "pen"}]})),
        saying("It is on its way."),
    )
    heard: list[ToolCall] = []
    reply = await infer.with_tools(
        "Where is 4711?", [get_order, price], on_call=heard.append, max_tokens=50
    )
    assert (reply.text, reply.problem) == ("It is on its way.", None)
    assert [(call.name, call.round, call.result, call.failed) for call in reply.calls] == [
        ("get_order", 1, "shipped", False),
        ("price", 2, '{"total":1,"currency":"EUR"}', False),
    ]
    assert [call.result for call in heard] == [None, "shipped", None, reply.calls[1].result]
    first, second, third = sent(server)
    assert first["messages"] == [{"role": "user", "content": "Where is 4711?"}]
    assert first["tools"] == [get_order.to_wire(), price.to_wire()]
    assert [body["toolChoice"] for body in (first, second, third)] == ["auto"] * 3
    assert [body["maxTokens"] for body in (first, second, third)] == [50] * 3
    assert second["messages"][1:] == [
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [
                {
                    "id": "c0",
                    "type": "function",
                    "function": {"name": "get_order", "arguments": '{"order_id": "4711"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c0", "content": "shipped"},
    ]
    assert third["messages"][3]["content"] is None
    last = {"role": "assistant", "content": "It is on its way."}
    assert reply.messages == [*third["messages"], last]


async def test_several_calls_of_one_reply_are_all_answered_in_order(
    server: Server, infer: Infer
) -> None:
    script(
        server,
        calling(("get_order", {"order_id": "4711"}), ("price", {"items": []})),
        saying("done"),
    )
    reply = await infer.with_tools("x", [get_order, price])
    results = [m for m in reply.messages if m["role"] == "tool"]
    assert [m["tool_call_id"] for m in results] == ["c0", "c1"]
    assert [m["content"] for m in results] == ["shipped", '{"total":0,"currency":"EUR"}']


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("get_order", {"order_id": "1"}, "Error: KeyError: '1'"),
        ("get_order", {"order_id": 5}, "arguments do not fit: order_id: "),
        ("get_order", {}, "order_id: Field required"),
        ("get_order", {"order_id": "4711", "x": 1}, "x: Extra inputs"),
        ("get_order", "{not json", "arguments do not fit: Invalid JSON"),
        ("get_order", "[]", "arguments do not fit"),
        ("drop_tables", {}, "there is no tool 'drop_tables'; the tools are get_order, price"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_model(
    server: Server, infer: Infer, name: str, arguments: Any, told: str
) -> None:
    script(server, calling((name, arguments)), saying("Sorry."))
    reply = await infer.with_tools("x", [get_order, price])
    assert (reply.text, reply.problem) == ("Sorry.", None)
    (call,) = reply.calls
    assert call.failed
    assert call.result is not None
    assert call.result.startswith("Error: ")
    assert told in call.result
    assert reply.messages[2] == {"role": "tool", "tool_call_id": "c0", "content": call.result}
    assert sent(server)[1]["messages"] == reply.messages[:3]


async def test_a_raising_async_tool_and_a_hostile_text(server: Server, infer: Infer) -> None:
    @tool
    async def fails() -> str:
        raise RuntimeError("\x1b[31mdown\u202e" + "x" * 5000)

    script(server, calling(("fails", {})), saying("Sorry."))
    (call,) = (await infer.with_tools("x", [fails])).calls
    assert call.result is not None
    assert call.result.startswith("Error: RuntimeError: down\ufffdxxx")
    assert len(call.result) < 600


async def test_a_tool_that_finds_nothing_with_next_does_not_hang(
    server: Server, infer: Infer
) -> None:
    @tool
    def first() -> str:
        return next(iter(()))

    script(server, calling(("first", {})), saying("Sorry."))
    (call,) = (await infer.with_tools("x", [first])).calls
    assert call.result == "Error: RuntimeError: StopIteration"


async def test_cancelling_is_not_taken_for_a_failing_tool(server: Server, infer: Infer) -> None:
    running = asyncio.Event()

    @tool
    async def hangs() -> str:
        running.set()
        await asyncio.Event().wait()
        return ""

    script(server, calling(("hangs", {})), saying("never"))
    task = asyncio.create_task(infer.with_tools("x", [hangs]))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(sent(server)) == 1


async def test_calls_that_lack_parts_are_answered_all_the_same(
    server: Server, infer: Infer
) -> None:
    calls = [{"function": {"name": "get_order", "arguments": {"order_id": "4711"}}}, {"id": "x"}]
    message = {"role": "assistant", "tool_calls": calls}
    broken = Answer(200, {"choices": [{"message": message}]})
    script(server, broken, saying("ok"))
    reply = await infer.with_tools("x", [get_order])
    assert reply.calls[0].result == "shipped"
    assert reply.calls[1].failed
    made = reply.messages[1]["tool_calls"]
    assert [call["id"] for call in made] == [m["tool_call_id"] for m in reply.messages[2:4]]
    assert all(isinstance(call["function"]["arguments"], str) for call in made)


async def test_after_the_last_round_the_model_must_answer(server: Server, infer: Infer) -> None:
    call = calling(("get_order", {"order_id": "4711"}))
    script(server, call, call, saying("enough"))
    reply = await infer.with_tools("x", [get_order], max_rounds=2)
    assert reply.problem is None
    assert [body["toolChoice"] for body in sent(server)] == ["auto", "auto", "none"]

    script(server, call)
    endless = await infer.with_tools("x", [get_order], max_rounds=1)
    assert endless.problem == "the model still calls tools after round 1"
    assert len(endless.calls) == 1, "what comes after the last round is not run"


@pytest.mark.parametrize(
    ("choice", "then", "expected"),
    [
        ("required", None, ["required", "none"]),
        ("required", "auto", ["required", "auto"]),
        (
            "get_order",
            None,
            [{"type": "function", "function": {"name": "get_order"}}, "none"],
        ),
        ("auto", "none", ["auto", "none"]),
    ],
)
async def test_a_forced_choice_holds_for_the_first_request(
    server: Server, infer: Infer, choice: str, then: Any, expected: list[Any]
) -> None:
    script(server, calling(("get_order", {"order_id": "4711"})), saying("ok"))
    await infer.with_tools("x", [get_order], tool_choice=choice, then=then)
    assert [body["toolChoice"] for body in sent(server)] == expected


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (saying(""), "the reply is empty"),
        (saying('{"name": "get_o', "length"), "cut by max_tokens before it was whole"),
        (saying("fine"), None),
    ],
)
async def test_an_answer_without_calls(
    server: Server, infer: Infer, answer: Answer, problem: str | None
) -> None:
    script(server, answer)
    reply = await infer.with_tools([{"role": "user", "content": "x"}], [get_order])
    assert (reply.problem, reply.calls) == (problem, ())


async def test_no_automatic_choice_is_told_with_a_way_out_and_not_retried(
    server: Server, infer: Infer
) -> None:
    refusal = {"error": "Automatic tool choice is off.", "code": "tool_calling_not_configured"}
    script(server, Answer(400, refusal), saying("never"))
    with pytest.raises(ApiError, match="Automatic tool choice") as raised:
        await infer.with_tools("x", [get_order])
    assert raised.value.code == "tool_calling_not_configured"
    assert "Name the tool" in (raised.value.hint or "")
    assert len(sent(server)) == 1


async def test_what_cannot_be_asked(server: Server, infer: Infer) -> None:
    def plain_function() -> str:
        return ""

    @tool(name="get_order")
    def same() -> str:
        return ""

    wrong: list[tuple[list[Any], dict[str, Any], str]] = [
        ([], {}, "There is no tool"),
        ([plain_function], {}, "plain_function is not a tool"),
        ([get_order, same], {}, "Two tools are named get_order"),
        ([get_order], {"tool_choice": "price"}, "which is no tool"),
        ([get_order], {"max_rounds": 0}, "at least 1"),
        ([get_order], {"options": 1}, "cannot be sent"),
    ]
    for tools, options, said in wrong:
        with pytest.raises(UsageError, match=said):
            await infer.with_tools("x", tools, **options)
    assert sent(server) == []
