"""Who answers: the pieces of a reply and what they amount to, and options that are not served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from arkor_tui.api.chat import ChatDelta, ChatReply, Choice
from arkor_tui.chat.asking import Answer, AskSettings, ask, ask_each
from arkor_tui.chat.infer import Infer
from arkor_tui.chat.options import InferOptions
from arkor_tui.chat.provider import ArkorProvider, Provider, Question, ReplyStream
from arkor_tui.chat.target import Target
from arkor_tui.chat.tools import Tool, tool
from arkor_tui.errors import ArkorTuiError, UsageError


def part(index: int, **function: str) -> dict[str, Any]:
    return {"index": index, "function": function}


async def pieces(*deltas: ChatDelta) -> AsyncIterator[ChatDelta]:
    for delta in deltas:
        yield delta


class Elsewhere:
    """A provider that knows one option, and answers with what it was asked."""

    name = "Elsewhere"
    serves = frozenset({"temperature"})

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.left = 0

    @asynccontextmanager
    async def stream(self, question: Question) -> AsyncIterator[ReplyStream]:
        self.asked.append(question)
        said = str(question.messages[-1]["content"])
        if said == "refuse":
            raise ArkorTuiError("no", hint="ask again")
        try:
            yield ReplyStream(pieces(*(ChatDelta(word) for word in said.split())))
        finally:
            self.left += 1

    async def reply(self, question: Question) -> ChatReply:
        self.asked.append(question)
        message = {"role": "assistant", "content": question.messages[-1]["content"]}
        return ChatReply(choices=[Choice(message=message)])

    async def is_here(self) -> bool:
        return False


async def test_pieces_amount_to_a_reply() -> None:
    stream = ReplyStream(
        pieces(
            ChatDelta("he"), ChatDelta("llo", usage={"completion_tokens": 2}),
            ChatDelta(tool_calls=[{**part(1, name="second", arguments="{}"), "id": "b"}]),
            ChatDelta(tool_calls=[{**part(0, name="first", arguments='{"a"'), "id": "a"}]),
            ChatDelta(tool_calls=[part(0, arguments=": 1}"), "nonsense", {"function": 3}]),  # type: ignore[list-item]
            ChatDelta(finish_reason="tool_calls"),
        )
    )  # fmt: skip
    assert [delta.text async for delta in stream] == ["he", "llo", "", "", "", ""]
    reply = stream.reply
    assert (reply.text, reply.finish_reason) == ("hello", "tool_calls")
    assert reply.usage == {"completion_tokens": 2}
    first, second, *_ = reply.tool_calls
    assert first == {
        "id": "a", "type": "function", "function": {"name": "first", "arguments": '{"a": 1}'},
    }  # fmt: skip
    assert second["function"]["name"] == "second"
    assert ReplyStream(pieces()).reply.tool_calls == []


async def test_an_option_that_is_not_served_is_refused_by_name() -> None:
    provider = Elsewhere()
    infer = Infer(provider, Target("base", model="m"))
    asked: InferOptions = {"temperature": 1, "top_p": 0.5, "seed": 3}
    with pytest.raises(UsageError, match="Elsewhere has no option seed, top_p"):
        await infer("hi", **asked)
    with pytest.raises(UsageError, match="no option structured_outputs"):
        await infer.typed("hi", choice=["a"])
    assert provider.asked == []
    assert (await infer("hi", temperature=1)).text == "hi"
    assert provider.asked[0].options == {"temperature": 1}


async def test_another_provider_is_asked_as_arkor_is() -> None:
    provider: Provider = Elsewhere()
    said: list[str] = []
    kept: list[Answer] = []

    async def keep(answer: Answer) -> None:
        kept.append(answer)

    answers = [Answer(Target("base", model=name)) for name in ("one", "two")]
    settings = AskSettings(sampling={"temperature": 0})
    messages = [{"role": "user", "content": "a b"}]

    async def one(answer: Answer) -> None:
        infer = Infer(provider, answer.target)
        await ask(infer, answer, messages, settings, keep=keep)

    await ask_each(answers, one, lambda answer: said.append(answer.target.model))
    assert [answer.text for answer in answers] == ["ab", "ab"]
    assert kept == answers
    assert said == ["one", "one", "two", "two"]


async def test_a_failure_is_told_in_the_answer_and_kept() -> None:
    kept: list[str | None] = []

    async def keep(answer: Answer) -> None:
        kept.append(answer.error)

    provider = Elsewhere()
    answer = Answer(Target("base", model="m"))
    settings = AskSettings(sampling={})
    await ask(
        Infer(provider, answer.target), answer, [{"role": "user", "content": "refuse"}],
        settings, keep=keep,
    )  # fmt: skip
    assert (answer.error, answer.hint, answer.done) == ("no", "ask again", True)
    assert kept == ["no"]


async def test_tools_are_loaded_by_who_asks() -> None:
    @tool
    def now() -> str:
        """The time."""
        return "noon"

    files: list[str] = []

    def tools_of(file: str) -> list[Tool]:
        files.append(file)
        return [now]

    class WithTools(Elsewhere):
        serves = frozenset({"tools", "tool_choice"})

    provider = WithTools()
    answer = Answer(Target("base", model="m"))
    settings = AskSettings(sampling={}, tools="tools.py")
    infer = Infer(provider, answer.target)
    await ask(infer, answer, [{"role": "user", "content": "hi"}], settings, tools_of=tools_of)
    assert (answer.text, files) == ("hi", ["tools.py"])
    assert provider.asked[0].options["tools"][0]["function"]["name"] == "now"


def test_arkors_options_are_those_of_its_request() -> None:
    assert {"temperature", "structured_outputs", "logprobs"} <= ArkorProvider.serves
    assert not {"messages", "adapter", "base_model", "stream"} & ArkorProvider.serves
