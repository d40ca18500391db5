"""Replies of a given form: what is sent for it, and every way in which a reply can miss it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import date
from enum import Enum
from functools import partial
from typing import Annotated, Any, Literal

import pytest
import pytest_asyncio
from pydantic import BaseModel, ConfigDict, Field, field_validator

from arkor_tui.chat import typed
from arkor_tui.chat.infer import Infer
from arkor_tui.chat.patterns import matches
from arkor_tui.chat.strict import strict_schema, without_made_nulls
from arkor_tui.chat.typed import (
    ChoiceForm,
    GrammarForm,
    ModelForm,
    RegexForm,
    ReplyError,
    SchemaForm,
    Verdict,
    form_of,
)
from arkor_tui.errors import UsageError
from tests.support.scripted import Answer, Server
from tests.support.trainers import a_trainer

CHAT = "/v1/inference/chat"


class Urgency(Enum):
    low = "low"
    high = "high"


class Email(BaseModel):
    kind: Literal["email"]
    to: str


class Call(BaseModel):
    kind: Literal["call"]
    number: str | None = None
    minutes: int = 5


class Triage(BaseModel):
    category: str = Field(min_length=2)
    urgency: Urgency
    tags: list[str] = []
    note: str | None = "unset"
    step: Annotated[Email | Call, Field(discriminator="kind")]
    contact: Call = Field(
        default_factory=lambda: Call(kind="call"), description="whom to call, if anybody"
    )
    follow_ups: list[Triage] = []

    @field_validator("category")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == "zz":
            raise ValueError("no such category")
        return value


GOOD: dict[str, Any] = {
    "category": "auth",
    "urgency": "high",
    "tags": None,
    "note": None,
    "step": {"kind": "call", "number": None, "minutes": None},
    "contact": None,
    "follow_ups": None,
}


def reply(content: str | None, finish: str = "stop") -> Answer:
    message = {"role": "assistant", "content": content}
    return Answer(200, {"choices": [{"index": 0, "finish_reason": finish, "message": message}]})


@pytest_asyncio.fixture
async def infer(server: Server) -> AsyncIterator[Infer]:
    """Talks to a checkpoint on the scripted server."""
    trainer = a_trainer(server)
    await trainer.start()
    yield trainer.infer(step=5)
    await trainer.aclose()


def objects(node: Any) -> list[dict[str, Any]]:
    """Every object schema, however deep."""
    if isinstance(node, list):
        return [found for part in node for found in objects(part)]
    if not isinstance(node, dict):
        return []
    own = [node] if node.get("type") == "object" else []
    return own + [found for part in node.values() for found in objects(part)]


def test_a_strict_schema_closes_and_requires_everything_everywhere() -> None:
    schema = ModelForm(Triage).schema
    found = objects(schema)
    assert len(found) == 4, "the root, which is recursive, and three definitions"
    for part in found:
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
    text = json.dumps(schema)
    assert '"default"' not in text
    assert '"oneOf"' not in text
    assert '"discriminator"' not in text
    assert '"title"' not in text
    contact = schema["properties"]["contact"]
    assert contact["description"] == "whom to call, if anybody"
    assert {"type": "null"} in contact["anyOf"]
    assert schema["properties"]["tags"]["anyOf"][-1] == {"type": "null"}
    assert schema["properties"]["note"]["anyOf"].count({"type": "null"}) == 1
    assert schema["properties"]["urgency"] == {"$ref": "#/$defs/Urgency"}


def test_the_embedded_backend_takes_the_schema_as_strict() -> None:
    from arkor_tui.backend.chatrequest import check_chat

    wire = ModelForm(Triage).options()["response_format"]
    body = {"messages": [{"role": "user", "content": "x"}], "baseModel": "m"}
    assert check_chat({**body, "responseFormat": wire}).spec.constraint is not None


def test_fields_named_like_keywords_stay() -> None:
    class Odd(BaseModel):
        title: str
        default: int
        properties: list[str] = []

    schema = ModelForm(Odd).schema
    assert list(schema["properties"]) == ["title", "default", "properties"]
    assert schema["properties"]["title"] == {"type": "string"}


@pytest.mark.parametrize("free", [dict[str, int], dict[str, Any]])
def test_free_keys_cannot_be_said_strictly(free: Any) -> None:
    class Free(BaseModel):
        counts: free

    with pytest.raises(UsageError, match=r"the reply\.counts has keys"):
        ModelForm(Free)


def test_parts_that_take_anything_may_be_left_out_as_they_are() -> None:
    schema = {
        "type": "object",
        "required": ["kept"],
        "properties": {
            "kept": {"type": "array", "items": True},
            "any": True,
            "loop": {"$ref": "#/$defs/None"},
            "none": {"const": None},
            "one": {"enum": ["a", None]},
            "two": {"const": 2},
        },
        "$defs": {"None": {"type": "null"}},
    }
    made = strict_schema(schema)
    assert made["required"] == list(schema["properties"])
    parts = made["properties"]
    assert parts["kept"] == {"type": "array", "items": True}
    assert parts["any"] is True
    assert parts["loop"] == {"$ref": "#/$defs/None"}
    assert parts["two"] == {"anyOf": [{"const": 2}, {"type": "null"}]}
    told = {"kept": [None, {"x": None}], "any": None, "loop": None, "none": None, "two": None}
    assert without_made_nulls(told, made) == {k: v for k, v in told.items() if k != "two"}


def test_a_type_without_schema_is_a_usage_error() -> None:
    class Plain:
        pass

    with pytest.raises(UsageError, match="Plain has no JSON schema"):
        ModelForm(Plain)


def test_a_null_that_stands_for_left_out_becomes_the_default() -> None:
    nested = {**GOOD, "tags": ["a"], "step": {"kind": "email", "to": "x"}}
    value = ModelForm(Triage).read(json.dumps({**GOOD, "follow_ups": [nested]})).unwrap()
    assert value.tags == []
    assert value.note is None, "null is a value where the model itself allows it"
    assert isinstance(value.step, Call)
    assert (value.step.minutes, value.step.number) == (5, None)
    assert value.contact.minutes == 5
    assert isinstance(value.follow_ups[0].step, Email)
    assert value.follow_ups[0].tags == ["a"]


def test_lists_tuples_and_dataclasses() -> None:
    @dataclasses.dataclass
    class Point:
        x: int
        label: str = "p"

    class Path(BaseModel):
        ends: tuple[Point, Point]
        between: list[Point]

    text = '{"ends":[{"x":1,"label":null},{"x":2,"label":"q"}],"between":[{"x":3,"label":null}]}'
    value = ModelForm(Path).read(text).unwrap()
    assert value == Path(ends=(Point(1), Point(2, "q")), between=[Point(3)])


def test_a_strict_model_takes_json_types() -> None:
    class Day(BaseModel):
        model_config = ConfigDict(strict=True)
        day: date

    assert ModelForm(Day).read('{"day": "2026-01-02"}').unwrap().day == date(2026, 1, 2)


@pytest.mark.parametrize(
    ("text", "finish", "problem", "field"),
    [
        ("", "stop", "the reply is empty", None),
        (" \n", "stop", "the reply is empty", None),
        ("", "length", "cut by max_tokens", None),
        ('{"category": "au', "length", "cut by max_tokens", None),
        ('{"category": "au', "stop", "not JSON", None),
        ("Sure! {}", "stop", "not JSON", None),
        ("[]", "stop", "the whole: ", None),
        ({**GOOD, "category": 3}, "stop", "category: Input should be a valid string", "category"),
        ({**GOOD, "category": "zz"}, "stop", "category: Value error, no such category", "category"),
        ({**GOOD, "urgency": "asap"}, "stop", "urgency: ", "urgency"),
        ({**GOOD, "step": {"kind": "email"}}, "stop", "step.email.to: Field", "step.email.to"),
        ({**GOOD, "tags": ["a", 1]}, "stop", "tags.1: ", "tags.1"),
        ({"category": "auth"}, "stop", "(and 1 more)", "urgency"),
    ],
)
def test_what_is_wrong_is_named(text: Any, finish: str, problem: str, field: str | None) -> None:
    text = text if isinstance(text, str) else json.dumps(text)
    read = ModelForm(Triage).read(text, finish)
    assert read.problem is not None
    assert problem in read.problem
    assert (read.value, read.text, read.field) == (None, text, field)
    assert read.verdict == Verdict(False, read.problem)
    with pytest.raises(ReplyError, match="not what was asked for") as raised:
        read.unwrap()
    assert raised.value.field == field
    assert field is None or field in raised.value.message


def test_a_reply_that_is_whole_at_the_limit_is_no_cut_one() -> None:
    read = ModelForm(Triage).read(json.dumps(GOOD), "length")
    assert read.problem is None
    assert read.verdict.passed is True


def test_what_a_model_wrote_is_harmless_in_a_problem() -> None:
    class Strict(BaseModel):
        word: Literal["a"]

        @field_validator("word", mode="before")
        @classmethod
        def _echo(cls, value: str) -> str:
            raise ValueError(f"got {value}")

    read = ModelForm(Strict).read(json.dumps({"word": "\x1b[31m\u202eevil" + "x" * 5000}))
    assert read.problem is not None
    assert "\x1b" not in read.problem
    assert "\u202e" not in read.problem
    assert len(read.problem) < 500


def test_a_schema_judges_and_gives_json() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = SchemaForm(schema)
    assert form.options() == {"structured_outputs": {"json": schema}}
    assert form.read('{"n": 1}').unwrap() == {"n": 1}
    wrong = form.read('{"n": "x"}')
    assert (wrong.field, wrong.verdict.passed) == ("n", False)
    assert form.read("{").problem is not None
    unusable = SchemaForm({"type": "nonsense"}).read("{}")
    assert unusable.verdict.passed is None
    assert unusable.unwrap() == {}


def test_a_choice() -> None:
    form = ChoiceForm(("yes", "no|maybe"))
    assert form.read("yes").unwrap() == "yes"
    assert form.read(" no|maybe\n").unwrap() == "no|maybe"
    assert form.read("no").problem == "none of the choices (yes, no|maybe)"
    assert form.read("ye", "length").problem == "cut by max_tokens before it was whole"
    assert form.read("").problem == "the reply is empty"
    assert ChoiceForm("yes").choices == ["yes"]


def test_a_pattern() -> None:
    form = RegexForm(r"[A-Z]{2}-\d+")
    assert form.read("AB-12").unwrap() == "AB-12"
    assert form.read("AB-12 ").problem == "does not match the pattern"
    assert form.read("A", "length").problem == "cut by max_tokens before it was whole"
    assert RegexForm("a*").read("").unwrap() == "", "an empty text may be just what was asked for"
    foreign = RegexForm(r"\p{OfAnotherDialect}+")
    assert foreign.read("AB").verdict.passed is None
    assert foreign.read("AB").unwrap() == "AB"
    assert foreign.read("AB", "length").problem == "cut by max_tokens before it was whole"


def test_a_pattern_that_finds_no_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typed, "matches", partial(matches, seconds=0.2))
    reply = RegexForm("(a|aa)+").read("a" * 40 + "!")
    assert reply.verdict.passed is None
    assert "takes longer" in reply.verdict.text


def test_a_pattern_says_nothing_of_a_text_that_it_did_not_see() -> None:
    reply = RegexForm("a+").read("a" * 10_000 + "b")
    assert reply.verdict == Verdict(None, "not checked: the text is longer than 10,000 characters")


def test_a_grammar() -> None:
    pytest.importorskip("llguidance")
    form = GrammarForm('start: "a" /[0-9]+/')
    assert form.read("a12").unwrap() == "a12"
    assert form.read("a").problem == "does not follow the grammar"
    assert form.read("a1é").problem == "does not follow the grammar"
    assert form.read("a1", "length").problem is None
    assert form.read("a", "length").problem == "cut by max_tokens before it was whole"
    assert GrammarForm("start: ???(").read("a").verdict.passed is None


def test_a_grammar_that_cannot_be_read_judges_nothing() -> None:
    form = GrammarForm("{not a grammar")
    assert form.options() == {"structured_outputs": {"grammar": "{not a grammar"}}
    read = form.read("yes")
    assert (read.value, read.problem) == ("yes", None)
    assert "cannot read the grammar" in (read.unchecked or "")


def test_a_grammar_is_not_judged_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "llguidance", None)
    form = GrammarForm('start: "a"')
    assert form.read("b").verdict.passed is None
    assert form.read("b").unwrap() == "b"
    assert form.read("").problem == "the reply is empty"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"choice": ["a"], "regex": "a"},
        {"choice": []},
        {"choice": ["a", " "]},
        {"regex": ""},
        {"grammar": " "},
    ],
)
def test_forms_that_are_none(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        form_of(**given)


async def test_a_model_goes_out_strict_and_comes_back_as_an_instance(
    server: Server, infer: Infer
) -> None:
    server.answers[f"POST {CHAT}"] = reply(json.dumps(GOOD))
    read = await infer.typed("I cannot log in", Triage, max_tokens=99, temperature=0)
    assert read.unwrap().urgency is Urgency.high
    (request,) = server.asked("POST", CHAT)
    body = request.json
    assert body["adapter"]["step"] == 5
    assert (body["maxTokens"], body["temperature"]) == (99, 0)
    assert body["responseFormat"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "Triage",
            "strict": True,
            "schema": strict_schema(Triage.model_json_schema()),
        },
    }
    assert "structuredOutputs" not in body


async def test_other_forms_go_out_as_constraints(server: Server, infer: Infer) -> None:
    server.answers[f"POST {CHAT}"] = reply("a1")
    assert (await infer.typed("x", choice=("a1", "b"))).unwrap() == "a1"
    assert (await infer.typed("x", regex=r"a\d")).unwrap() == "a1"
    assert (await infer.typed("x", grammar='start: "a1"')).problem is None
    assert (await infer.typed("x", schema={"type": "object"})).problem is not None
    sent = [request.json["structuredOutputs"] for request in server.asked("POST", CHAT)]
    assert sent == [
        {"choice": ["a1", "b"]},
        {"regex": r"a\d"},
        {"grammar": 'start: "a1"'},
        {"json": {"type": "object"}},
    ]


async def test_a_reply_without_text_or_choices_is_empty(server: Server, infer: Infer) -> None:
    server.answers[f"POST {CHAT}"] = [reply(None), Answer(200, {"choices": []})]
    for _ in range(2):
        assert (await infer.typed("x", Triage)).problem == "the reply is empty"


async def test_a_second_form_among_the_options_is_refused(server: Server, infer: Infer) -> None:
    with pytest.raises(UsageError, match="response_format and a form"):
        await infer.typed("x", Triage, response_format={})  # type: ignore[call-overload]
    assert server.asked("POST", CHAT) == []
