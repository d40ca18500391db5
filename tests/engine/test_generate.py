"""Replies of the random model: sampling, stopping, limits, and constraints that always hold."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from arkor_tui.backend.engine.constrain import closed, tool_call_of  # noqa: E402
from arkor_tui.backend.engine.decode import Reply, generate, prompt_of  # noqa: E402
from arkor_tui.backend.engine.errors import ModelError, RequestError  # noqa: E402
from arkor_tui.backend.engine.sampling import Sampler  # noqa: E402
from arkor_tui.backend.engine.targets import Target, Targets  # noqa: E402
from arkor_tui.backend.ipc import ChatSpec, Constraint  # noqa: E402

pytestmark = pytest.mark.engine

ASK = ChatSpec([{"role": "user", "content": "the cat"}], temperature=0.0, max_tokens=24)
WILD = replace(ASK, temperature=1.5, max_tokens=150)


@pytest.fixture(scope="module")
def target(model_folder: Path) -> Target:
    return Targets().get(str(model_folder), None)


def wild(target: Target, constraint: Constraint, seed: int, **changes: Any) -> Reply:
    return generate(target, replace(WILD, constraint=constraint, seed=seed, **changes))


def test_greedy_is_the_likeliest_token_of_a_full_pass(target: Target) -> None:
    """The cached steps give what a pass over the whole sequence gives."""
    ids = prompt_of(target, ASK)
    expected: list[int] = []
    with torch.no_grad():
        while len(expected) < 24:
            logits = target.model(torch.tensor([ids + expected])).logits[
                0, -1, : target.known_tokens
            ]
            if (token := int(logits.argmax())) in target.ends:
                break
            expected.append(token)
    reply = generate(target, ASK)
    text = target.tokenizer.decode(expected, skip_special_tokens=True)
    assert reply.text == text.removesuffix("\ufffd")
    assert reply.completion_tokens == len(expected)
    assert reply.prompt_tokens == len(ids)


def test_a_model_without_cache_gives_the_same(target: Target, model_folder: Path) -> None:
    other = Targets().get(str(model_folder), None)
    forward = other.model.forward

    def without_cache(*args: Any, **options: Any) -> Any:
        output = forward(*args, **{**options, "past_key_values": None, "use_cache": False})
        output.past_key_values = None
        return output

    other.model.forward = without_cache
    assert generate(other, ASK) == generate(target, ASK)


def test_pieces_are_the_text(target: Target) -> None:
    pieces: list[str] = []
    reply = generate(target, replace(WILD, seed=4), on_text=pieces.append)
    assert "".join(pieces) == reply.text
    assert all(pieces)


def test_seeds(target: Target) -> None:
    texts = [generate(target, replace(WILD, seed=seed)).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    free = {generate(target, replace(WILD, seed=None)).text for _ in range(3)}
    assert len(free) == 3


def test_seeds_hold_while_others_generate(target: Target) -> None:
    asks = [replace(WILD, seed=seed, temperature=1.0, max_tokens=40) for seed in range(6)]
    alone = [generate(target, ask) for ask in asks]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda ask: generate(target, ask), asks * 2))
    assert together == alone * 2


def test_max_tokens_and_context(target: Target) -> None:
    reply = generate(target, replace(ASK, max_tokens=3, seed=1))
    assert (reply.finish_reason, reply.completion_tokens) == ("length", 3)
    long = replace(WILD, constraint=Constraint("regex", "x*y"), max_tokens=10_000, temperature=0.0)
    reply = generate(target, replace(long, constraint=Constraint("regex", "[a-z]{5000}")))
    assert reply.finish_reason == "length"
    assert reply.prompt_tokens + reply.completion_tokens == 256


def test_a_full_context_is_refused_with_numbers(target: Target) -> None:
    ask = replace(ASK, messages=[{"role": "user", "content": "x" * 300}])
    with pytest.raises(
        RequestError, match=r"30\d tokens, but the model's context is 256"
    ) as caught:
        generate(target, ask)
    assert (caught.value.status, caught.value.code) == (400, "context_length_exceeded")


def test_messages_that_the_template_refuses(target: Target) -> None:
    with pytest.raises(RequestError, match="Unknown role: robot") as caught:
        generate(target, replace(ASK, messages=[{"role": "robot", "content": "x"}]))
    assert caught.value.status == 400


def test_stop_strings(target: Target) -> None:
    constraint = Constraint("regex", "abcSTOPdef")
    pieces: list[str] = []
    ask = replace(WILD, constraint=constraint, stop=["never", "STOP"])
    reply = generate(target, ask, on_text=pieces.append)
    assert (reply.text, reply.finish_reason) == ("abc", "stop")
    assert "".join(pieces) == "abc"
    assert generate(target, replace(ask, stop=["X"])).text == "abcSTOPdef"


def test_stopping_takes_effect_within_one_token(target: Target) -> None:
    stop = threading.Event()
    pieces: list[str] = []

    def on_text(text: str) -> None:
        pieces.append(text)
        if len(pieces) == 3:
            stop.set()

    ask = replace(WILD, constraint=Constraint("regex", "[a-z]{100}"))
    reply = generate(target, ask, on_text=on_text, stopped=stop.is_set)
    assert reply.finish_reason == "aborted"
    assert len(pieces) == 3


SCHEMA = {
    "type": "object",
    "properties": {
        "category": {"enum": ["auth", "bug", "é"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}, "maxItems": 2},
        "done": {"type": "boolean"},
    },
    "required": ["category", "count", "tags", "done"],
    "additionalProperties": False,
}


def check(value: Any) -> None:
    """A hand-written check of :data:`SCHEMA`."""
    assert isinstance(value, dict)
    assert set(value) == {"category", "count", "tags", "done"}
    assert value["category"] in ("auth", "bug", "é")
    assert type(value["count"]) is int
    assert 0 <= value["count"] <= 99
    assert type(value["done"]) is bool
    assert isinstance(value["tags"], list)
    assert len(value["tags"]) <= 2
    assert all(isinstance(tag, str) and len(tag) <= 4 for tag in value["tags"])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"disable_any_whitespace": True},
        {"whitespace_pattern": " ?"},
        {"disable_additional_properties": True},
        {"whitespace_pattern": None, "disable_any_whitespace": False},
    ],
)
def test_json_always_fits_its_schema(target: Target, options: dict[str, Any]) -> None:
    for seed in range(6):
        reply = wild(target, Constraint("json", SCHEMA, options), seed, max_tokens=220)
        assert reply.finish_reason == "stop"
        check(json.loads(reply.text))
        if options.get("disable_any_whitespace"):
            bare = json.dumps(json.loads(reply.text), separators=(",", ":"), ensure_ascii=False)
            assert len(bare) <= len(reply.text) <= len(bare.encode("unicode_escape")) + 40
            assert not re.search(r"[:,{\[] |\n", re.sub(r'"(\\.|[^"\\])*"', '""', reply.text))


def test_json_object(target: Target) -> None:
    whole = 0
    for seed in range(8):
        reply = wild(target, Constraint("json_object"), seed)
        assert reply.text.startswith("{")
        if reply.finish_reason == "stop":
            assert isinstance(json.loads(reply.text), dict)
            whole += 1
    assert whole


@pytest.mark.parametrize(
    "pattern", ["[0-9]{3}-[a-z]{2}", "^(yes|no)$", "a+b?", r"\d+,\d\d €", "日本語?", '["\\\\]{2}']
)
def test_regex_always_matches(target: Target, pattern: str) -> None:
    for seed in range(5):
        reply = wild(target, Constraint("regex", pattern), seed)
        if reply.finish_reason == "stop":
            assert re.fullmatch(pattern, reply.text)
        else:
            assert pattern in ("a+b?", r"\d+,\d\d €")


def test_choice_is_always_a_member(target: Target) -> None:
    choices = ["yes", "no", 'say "x"', "back\\slash", "two\nlines", "café 😀", "yes and no"]
    found = {wild(target, Constraint("choice", choices), seed).text for seed in range(60)}
    assert found <= set(choices)
    assert len(found) > 2
    assert wild(target, Constraint("choice", ["yes", "yes!"]), 0).finish_reason == "stop"


@pytest.mark.parametrize(
    "grammar",
    ['root ::= "yes" | "no" [0-9] [0-9]', 'start: "yes" | "no" /[0-9][0-9]/'],
)
def test_grammar(target: Target, grammar: str) -> None:
    for seed in range(6):
        text = wild(target, Constraint("grammar", grammar), seed).text
        assert re.fullmatch(r"yes|no\d\d", text)


@pytest.mark.parametrize(
    "constraint",
    [
        Constraint("json", {"type": "nope"}),
        Constraint("json", {"$ref": "#/missing"}),
        Constraint("json", {"enum": []}),
        Constraint("json", {"type": "string", "not": {"const": "a"}}),
        Constraint("json", 5),
        Constraint("json", SCHEMA, {"whitespace_pattern": "["}),
        Constraint("json", SCHEMA, {"whitespace_pattern": " ", "disable_any_whitespace": True}),
        Constraint("json", SCHEMA, {"unheard_of": 1}),
        Constraint("regex", "("),
        Constraint("regex", ""),
        Constraint("regex", "a", {"whitespace_pattern": " "}),
        Constraint("regex", "a(?=b)"),
        Constraint("choice", []),
        Constraint("choice", "yes"),
        Constraint("choice", ["", "a"]),
        Constraint("choice", ["\ud800"]),
        Constraint("grammar", "start: missing"),
        Constraint("grammar", "what is this"),
        Constraint("grammar", None),
    ],
)
def test_constraints_that_are_not_valid(target: Target, constraint: Constraint) -> None:
    with pytest.raises(RequestError) as caught:
        wild(target, constraint, 0)
    assert (caught.value.status, caught.value.code) == (400, "invalid_schema")
    assert str(caught.value)


def test_closed_leaves_values_alone() -> None:
    inner = {"type": "object", "properties": {"a": {}}}
    schema = {**inner, "properties": {"a": inner, "b": {"const": inner}}, "$defs": {"c": inner}}
    result = closed(schema)
    assert result["additionalProperties"] is False
    assert result["properties"]["a"]["additionalProperties"] is False
    assert result["$defs"]["c"]["additionalProperties"] is False
    assert result["properties"]["b"]["const"] == inner
    assert closed({**inner, "additionalProperties": True})["additionalProperties"] is True


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"$ref": "#/$defs/city"}},
                "required": ["city"],
                "additionalProperties": False,
                "$defs": {"city": {"enum": ["Oslo", "Rome"]}},
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": 'odd "name"',
            "parameters": {
                "type": "object",
                "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}},
                "required": ["n"],
                "additionalProperties": False,
            },
        },
    },
]


def test_tools(target: Target) -> None:
    names = set()
    for seed in range(12):
        ask = replace(WILD, tools=TOOLS, tool_choice="required", seed=seed)
        call = tool_call_of(generate(target, ask).text)
        assert call is not None
        arguments = json.loads(call["arguments"])
        if call["name"] == "weather":
            assert arguments in ({"city": "Oslo"}, {"city": "Rome"})
        else:
            assert call["name"] == 'odd "name"'
            assert list(arguments) == ["n"]
        names.add(call["name"])
        named = generate(target, replace(ask, tool_choice="weather"))
        assert (tool_call_of(named.text) or {})["name"] == "weather"
    assert names <= {"weather", 'odd "name"'}


def test_tools_that_do_not_exist(target: Target) -> None:
    for tools, choice in ((TOOLS, "nope"), ([], "required"), ([{"function": {}}], "required")):
        with pytest.raises(RequestError):
            generate(target, replace(ASK, tools=tools, tool_choice=choice))


def test_a_tool_call_that_was_cut_off_is_none() -> None:
    assert tool_call_of('{"name":"weather","arg') is None
    assert tool_call_of("[]") is None


def test_tool_messages_in_the_history(target: Target) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    history = [
        *ASK.messages,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "rain", "tool_call_id": "1"},
    ]
    assert generate(target, replace(ASK, messages=history)).prompt_tokens > 10


def test_nucleus_keeps_the_likeliest_tokens() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()

    def seen(top_p: float) -> set[int]:
        sampler = Sampler(temperature=1.0, top_p=top_p, seed=1)
        return {sampler.choose(logits.clone()) for _ in range(300)}

    assert seen(0.0) == {0}
    assert seen(0.5) == {0}
    assert seen(0.6) == {0, 1}
    assert seen(0.9) == {0, 1, 2}
    assert seen(1.0) == {0, 1, 2, 3}


def test_temperature_flattens() -> None:
    logits = torch.tensor([2.0, 0.0])

    def share(temperature: float) -> float:
        sampler = Sampler(temperature=temperature, top_p=1.0, seed=1)
        return sum(sampler.choose(logits.clone()) == 0 for _ in range(300)) / 300

    assert share(1e-40) == 1.0
    assert 1.0 > share(1.0) > share(2.0) > 0.5


def test_a_diverged_model_is_told(target: Target) -> None:
    sampler = Sampler(temperature=1.0, top_p=1.0, seed=1)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(RequestError, match="diverged"):
            sampler.choose(torch.tensor([0.0, bad]))


def test_models_that_are_loaded_at_a_time(model_folder: Path, tmp_path: Path) -> None:
    """transformers is not made for it: unguarded, both models came out without their weights."""
    sources = []
    for number in range(4):
        source = tmp_path / f"model-{number}"
        source.symlink_to(model_folder)
        sources.append(str(source))
    targets = Targets()
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda s: generate(targets.get(s, None), ASK), sources))
    assert len(set(replies)) == 1


def test_targets_are_loaded_once_and_forgotten(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_tui.backend.engine import targets as module

    folders = []
    for number in range(3):
        folder = tmp_path / f"step-{number}"
        folder.mkdir()
        (folder / "adapter_model.safetensors").touch()
        folders.append(folder)
    loads: list[str] = []

    def load(base: Target, folder: Path) -> Target:
        loads.append(folder.name)
        return Target(base.model, base.tokenizer, 100, base=base)

    monkeypatch.setattr(module, "_load_adapter", load)
    targets = Targets(budget=250)
    source = str(model_folder)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: targets.get(source, str(folders[0])), range(4)))
    assert len({id(t) for t in found}) == 1
    assert loads == ["step-0"]
    targets.get(source, str(folders[1]))
    targets.get(source, str(folders[0]))
    assert loads[-1] != "step-0" or loads.count("step-0") > 1
    with pytest.raises(RequestError) as caught:
        targets.get(source, str(tmp_path / "none"))
    assert caught.value.status == 404
    with pytest.raises(ModelError, match="cannot be loaded"):
        targets.get(str(tmp_path / "no-model"), None)
