"""Asking a model: what streams in, what is judged, what is archived and exported."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TextIO

import pytest
import pytest_asyncio

from arkor_tui.archive import exporting
from arkor_tui.archive.records import RunIdentity, RunRecord
from arkor_tui.chat.asking import Answer, AskSettings, settings_from
from arkor_tui.chat.options import typed_sampling
from arkor_tui.chat.target import RunTargets, Target
from arkor_tui.chat.verdict import Constraint, Verdict, judge
from arkor_tui.errors import ArkorTuiError, UsageError
from arkor_tui.session.asking import ask
from arkor_tui.session.session import Session
from tests.support.archive_material import job
from tests.support.scripted import Answer as Reply
from tests.support.scripted import Server, stream

CHAT = "POST /v1/inference/chat"


def delta(text: str) -> bytes:
    body = {"choices": [{"delta": {"content": text}}]}
    return f"data: {json.dumps(body)}\n\n".encode()


LAST = b'data: {"choices": [{"finish_reason": "stop"}], "usage": {"completion_tokens": 7}}\n\n'


@pytest_asyncio.fixture
async def session(server: Server, tmp_path: Path) -> AsyncIterator[Session]:
    """A session that is connected to it."""
    path = tmp_path / "history.db"
    async with Session.open(tmp_path, server.url, archive_path=path) as opened:
        opened.connection = server.connection()
        yield opened


async def a_run(session: Session) -> RunRecord:
    connection = session.connection
    assert connection is not None
    scope = connection.scope
    identity = RunIdentity(connection.base_url, scope.org_slug, scope.project_slug, "job-1")
    key = await session.archive.write(lambda a: a.register(identity, job()))
    record = await session.archive.read(lambda a: a.run(key))
    assert record is not None
    return record


def at(run: RunRecord, text: str) -> Target:
    """A target of a run, as a person types it."""
    return RunTargets(run.name, run.identity.job_id, run.model, run.status).find(Target.parse(text))


async def test_a_reply_streams_in_is_judged_and_archived(server: Server, session: Session) -> None:
    server.answers[CHAT] = stream(delta('{"a":'), delta(" 1}"), LAST)
    run = await a_run(session)
    answer = Answer(at(run, "step 25"))
    seen: list[str] = []
    settings = AskSettings(sampling={"max_tokens": 9, "seed": 3, "stop": ["x"], "temperature": 0.5})
    messages = [{"role": "user", "content": "hi"}]
    await ask(session, run, answer, messages, settings, on_change=lambda a: seen.append(a.text))
    assert (answer.text, answer.tokens, answer.finish_reason) == ('{"a": 1}', 7, "stop")
    assert (answer.passed, answer.verdict) == (True, "valid JSON")
    assert seen[0] == '{"a":'
    assert answer.done
    sent = server.asked("POST", "/v1/inference/chat")[0].json
    assert sent["adapter"] == {"kind": "checkpoint", "jobId": "job-1", "step": 25}
    assert (sent["maxTokens"], sent["seed"], sent["stop"], sent["temperature"]) == (
        9,
        3,
        ["x"],
        0.5,
    )
    (kept,) = await session.archive.read(lambda a: a.exchanges(run.key))
    assert (kept.reply, kept.step, kept.verdict, kept.tokens) == ('{"a": 1}', 25, "valid JSON", 7)
    assert kept.settings["seed"] == 3


async def test_a_refusal_is_told_and_archived(server: Server, session: Session) -> None:
    server.answers[CHAT] = Reply(400, {"error": "no such checkpoint"})
    run = await a_run(session)
    answer = Answer(at(run, "step 7"))
    await ask(session, run, answer, [{"role": "user", "content": "hi"}], AskSettings())
    assert answer.error == "no such checkpoint"
    (kept,) = await session.archive.read(lambda a: a.exchanges())
    assert kept.error == "no such checkpoint"


async def test_what_came_before_a_stop_is_kept(server: Server, session: Session) -> None:
    gate = asyncio.Event()
    server.answers[CHAT] = stream(delta("half a"), gate, delta(" reply"))
    run = await a_run(session)
    answer = Answer(at(run, "base"))
    came = asyncio.Event()
    task = asyncio.ensure_future(
        ask(
            session, run, answer, [{"role": "user", "content": "hi"}], AskSettings(),
            on_change=lambda _: came.set(),
        )
    )  # fmt: skip
    await came.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    assert (answer.text, answer.stopped) == ("half a", True)
    (kept,) = await session.archive.read(lambda a: a.exchanges())
    assert (kept.reply, kept.finish_reason) == ("half a", "stopped")


@pytest.mark.parametrize(
    ("kind", "value", "reply", "passed", "told"),
    [
        ("json", "", '{"a": 1}', True, "valid JSON"),
        ("json", "", '{"a": 1', False, "not JSON"),
        ("", "", "plain words", None, ""),
        ("regex", r"\d+", "123", True, "matches"),
        ("regex", r"\d+", "12a", False, "does not match"),
        ("choice", "yes|no", "no", True, "one of"),
        ("choice", "yes|no", "maybe", False, "none of"),
        ("schema", '{"required": ["a"], "properties": {"a": {"type": "integer"}}}',
         '{"a": 1}', True, "matches the schema"),
        ("schema", '{"required": ["a"], "properties": {"a": {"type": "integer"}}}',
         '{"a": "x"}', False, "a: 'x' is not of type 'integer'"),
        ("schema", '{"required": ["a"]}', "{}", False, "'a' is a required property"),
    ],
)  # fmt: skip
def test_verdicts(kind: str, value: str, reply: str, passed: bool | None, told: str) -> None:
    verdict = judge(reply, Constraint.parse(kind, value))
    assert verdict.passed is passed
    assert told in verdict.text


def test_a_grammar_is_judged_where_it_can_be() -> None:
    pytest.importorskip("llguidance")
    constraint = Constraint.parse("grammar", 'root ::= "yes" | "no"')
    assert judge("no", constraint) == Verdict(True, "follows the grammar")
    assert judge("perhaps", constraint) == Verdict(False, "does not follow the grammar")


def test_a_constraint_is_sent_unless_it_is_only_judged() -> None:
    assert Constraint.parse("choice", "a | b").structured_outputs() == {"choice": ["a", "b"]}
    assert Constraint.parse("choice?", "a | b").structured_outputs() is None
    assert Constraint.parse("json", "").structured_outputs() == {"json_object": True}
    assert Constraint.parse("schema", "{}").structured_outputs() == {"json": {}}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("schema", "{"),
        ("schema", "[]"),
        ("regex", "("),
        ("choice", " "),
        ("choice", " | "),
        ("regex", ""),
        ("x", ""),
    ],
)
def test_a_constraint_that_is_none_is_refused(kind: str, value: str) -> None:
    with pytest.raises(UsageError):
        Constraint.parse(kind, value)


def test_settings_are_checked_field_by_field() -> None:
    settings, wrong = settings_from({"temperature": "3", "max_tokens": "x", "top_p": "0.5"})
    assert settings is None
    assert wrong == {"temperature": "from 0 to 2", "max_tokens": "a whole number"}
    settings, wrong = settings_from({"temperature": "", "stop": "a|b", "seed": "4"})
    assert settings is not None
    assert settings.sampling == {"stop": ["a", "b"], "seed": 4}


async def test_exports_are_new_files(server: Server, session: Session, tmp_path: Path) -> None:
    server.answers[CHAT] = stream(delta("```fence"), LAST)
    run = await a_run(session)
    answer = Answer(at(run, "base"))
    await ask(session, run, answer, [{"role": "user", "content": "hi \x1b[31m"}], AskSettings())
    first = await session.export(run, "transcripts.md")
    again = await session.export(run, "transcripts.md")
    assert first != again
    text = first.read_text()
    assert "```fence" in text
    assert "````" in text  # a fence that the reply cannot close
    assert "\x1b" not in text
    kept = json.loads((await session.export(run, "transcripts.jsonl")).read_text())
    assert (kept["reply"], kept["target"]) == ("```fence", "base")
    refused = Answer(at(run, "step 7"))
    server.answers[CHAT] = Reply(400, {"error": "no such checkpoint"})
    await ask(session, run, refused, [{"role": "user", "content": "hi"}], AskSettings())
    text = (await session.export(run, "transcripts.md")).read_text()
    assert "## step 7" in text
    assert "no such checkpoint" in text
    session.folder = tmp_path / "nowhere"
    with pytest.raises(ArkorTuiError, match="Cannot write"):
        await session.export(run, "csv")


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_an_export_that_does_not_fit_leaves_no_half_of_it(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_archive: object, _key: int, _kind: str, out: TextIO) -> None:
        out.write("the first half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(exporting, "export_run", fill)
    before = files_of(tmp_path)
    with pytest.raises(ArkorTuiError, match="No space left on device"):
        await session.export(await a_run(session), "csv")
    assert files_of(tmp_path) == before


def test_what_is_not_set_is_left_to_the_backend() -> None:
    assert AskSettings(sampling={}).options() == {}
    typed = {"temperature": "0", "top_p": "0.5", "max_tokens": "1", "seed": "0", "stop": "x"}
    settings, _ = settings_from(typed)
    assert settings is not None
    assert settings.options() == {
        "temperature": 0.0, "top_p": 0.5, "max_tokens": 1, "seed": 0, "stop": ["x"],
    }  # fmt: skip
    assert typed_sampling(settings.sampling).items() >= typed.items()


def test_the_rate_counts_tokens_after_the_first() -> None:
    answer = Answer(Target("base"))
    assert answer.tokens_per_second is None
    answer.first_token_s, answer.total_s, answer.pieces = 1.0, 3.0, 5
    assert answer.tokens_per_second == 2.0
    answer.tokens = 9
    assert answer.tokens_per_second == 4.0
    answer.tokens = 1
    assert answer.tokens_per_second is None
    answer.tokens, answer.total_s = 9, 1.0
    assert answer.tokens_per_second is None


def test_each_field_of_the_form_has_its_own_mistake() -> None:
    settings, wrong = settings_from(
        {
            "constraint_kind": "regex?", "constraint": "(", "tool_choice": "auto",
            "history": "perhaps", "top_p": "x",
        }
    )  # fmt: skip
    assert settings is None
    assert set(wrong) == {"constraint", "tool_choice", "history", "top_p"}
    assert set(settings_from({"constraint_kind": "magic"})[1]) == {"constraint_kind"}
    assert settings_from({"tools": "a.py", "tool_choice": "auto", "history": "yes"})[1] == {}


async def test_a_talk_that_does_not_end_with_an_answer_has_failed(
    server: Server, session: Session, tmp_path: Path
) -> None:
    file = tmp_path / "orders.py"
    file.write_text("from arkor_tui import tool\n\n@tool\ndef now() -> str:\n    return 'x'\n")
    message = {"role": "assistant", "content": ""}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    server.answers[CHAT] = Reply(200, {"choices": [choice]})
    answer = Answer(Target("base", model="m"))
    settings = AskSettings(tools=str(file), tool_choice="")
    await ask(session, None, answer, [{"role": "user", "content": "hi"}], settings)
    assert answer.passed is False
    assert answer.verdict
    assert server.asked("POST", "/v1/inference/chat")[0].json["toolChoice"] == "auto"


async def test_functions_that_the_model_calls_are_told(
    server: Server, session: Session, tmp_path: Path
) -> None:
    file = tmp_path / "orders.py"
    file.write_text(
        "from arkor_tui import tool\n\n\n@tool\ndef get_order(order_id: str) -> str:\n"
        '    """Look an order up."""\n    return f"{order_id} was shipped"\n'
    )
    call = {
        "id": "call-1",
        "type": "function",
        "function": {"name": "get_order", "arguments": '{"order_id": "4711"}'},
    }
    first = {"role": "assistant", "content": None, "tool_calls": [call]}
    second = {"role": "assistant", "content": "It was shipped."}
    server.answers[CHAT] = [
        Reply(200, {"choices": [{"index": 0, "finish_reason": "tool_calls", "message": first}]}),
        Reply(200, {"choices": [{"index": 0, "finish_reason": "stop", "message": second}]}),
    ]
    settings = AskSettings(tools=str(file), tool_choice="get_order")
    answer = Answer(Target("base", model="m"))
    await ask(session, None, answer, [{"role": "user", "content": "where is 4711?"}], settings)
    assert answer.text == "It was shipped."
    assert [(c.name, c.result) for c in answer.calls] == [("get_order", "4711 was shipped")]
    sent = server.asked("POST", "/v1/inference/chat")
    assert sent[0].json["toolChoice"]["function"]["name"] == "get_order"
    assert sent[1].json["messages"][-1]["role"] == "tool"


async def test_a_tools_file_that_cannot_be_used_is_told(
    server: Server, session: Session, tmp_path: Path
) -> None:
    answer = Answer(Target("base", model="m"))
    settings = AskSettings(tools=str(tmp_path / "none.py"))
    await ask(session, None, answer, [{"role": "user", "content": "hi"}], settings)
    assert answer.error is not None
    assert "There is no file" in answer.error
