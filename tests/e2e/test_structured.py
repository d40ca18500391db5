"""Forms and tools against the embedded backend, on a checkpoint of a run that really trained."""

from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from arkor_tui import ApiError, CheckpointContext, FileDataset, create_trainer
from arkor_tui.api.scope import Scope
from arkor_tui.chat.tools import tool
from arkor_tui.chat.typed import TypedReply

from .conftest import Backend
from .test_commands import command, records

pytestmark = pytest.mark.engine


class Triage(BaseModel):
    category: Literal["auth", "billing", "bug"]
    urgency: Literal["low", "high"]
    count: int = Field(default=7, ge=0, le=9)
    note: Literal["none"] | None = None


TYPES = """
from typing import Literal
from pydantic import BaseModel

class Triage(BaseModel):
    category: Literal["auth", "billing"]
    hours: Literal[1, 24] = 24
"""
TOOLS = '''
from typing import Literal
from arkor_tui.chat.tools import tool

print("read")

@tool
def get_order(order_id: Literal["4711"]) -> str:
    """Look an order up."""
    print("looking")
    return f"{order_id}: \\x1b[31mshipped"
'''


async def test_a_run_is_asked_for_types_choices_and_calls(
    backend: Backend, project: Path, rows: Path
) -> None:
    typed: list[TypedReply[Triage]] = []

    async def on_checkpoint(ctx: CheckpointContext) -> None:
        if ctx.step == 2:
            # blanks between parts are bounded, but a chance reply may be full of them
            reply = await ctx.infer.typed("I cannot log in.", Triage, max_tokens=500)
            typed.append(reply)

    trainer = create_trainer(
        name="structured",
        model="arkor-tui/tiny",
        dataset=FileDataset(path=str(rows)),
        max_steps=4,
        save_steps=2,
        on_checkpoint=on_checkpoint,
    )
    scope = Scope("local", project.name)  # the one that the command line uses in that folder
    async with aclosing(backend.connection().for_scope(scope)) as connection:
        trainer.use(connection)
        result = await trainer.wait()
        assert result.status == "completed"
        (reply,) = typed
        assert reply.problem is None, reply.problem
        triage = reply.unwrap()
        assert set(json.loads(reply.text)) == {"category", "urgency", "count", "note"}
        assert 0 <= triage.count <= 9

        infer = trainer.infer(step=4)
        prompt = "I was charged twice."
        assert (await infer.typed(prompt, choice=("yes", "no"))).unwrap() in ("yes", "no")
        code = (await infer.typed(prompt, regex=r"[A-C]{2}-\d")).unwrap()
        assert len(code) == 4
        ruled = await infer.typed(prompt, grammar='start: "to: " ("Ann" | "Bob")')
        assert ruled.unwrap() in ("to: Ann", "to: Bob")
        assert ruled.verdict.passed is True
        cut = await infer.typed(prompt, Triage, max_tokens=3)
        assert cut.problem == "cut by max_tokens before it was whole"

        asked: list[str] = []

        @tool
        async def get_order(order_id: Literal["4711", "4712"], express: bool = False) -> str:
            """Look an order up."""
            asked.append(order_id)
            return "it was shipped"

        talk = await infer.with_tools(
            "Where is it?", [get_order], tool_choice="get_order", max_tokens=60, temperature=0
        )
        (call,) = talk.calls
        assert (call.failed, call.result) == (False, "it was shipped")
        assert asked[0] in ("4711", "4712")
        assert [message["role"] for message in talk.messages] == [
            "user",
            "assistant",
            "tool",
            "assistant",
        ]
        with pytest.raises(ApiError) as refused:
            await infer.with_tools("Where is it?", [get_order])
        assert (refused.value.status, refused.value.code) == (400, "tool_calling_not_configured")

    _chat_from_the_shell(project)


def _chat_from_the_shell(project: Path) -> None:
    (project / "forms.py").write_text(TYPES)
    (project / "orders.py").write_text(TOOLS)
    schema = {"type": "object", "properties": {"a": {"enum": [1]}}, "required": ["a"]}
    (project / "schema.json").write_text(json.dumps({**schema, "additionalProperties": False}))
    chat = ("chat", "latest", "Hello.", "--backend", "local", "--max-tokens", "500", "--json")

    for name in ("forms:Triage", "forms.py:Triage"):
        done = command(*chat, "--model-type", name, folder=project)
        assert done.returncode == 0, done.stderr
        reply = records(done)[-1]
        assert reply["verdict"] == {"passed": True, "text": "as asked for"}
        value = reply["value"]
        assert isinstance(value, dict)
        assert value["category"] in ("auth", "billing")
        assert value["hours"] in (1, 24)

    done = command(*chat, "--schema", "schema.json", folder=project)
    assert (done.returncode, records(done)[-1]["value"]) == (0, {"a": 1})

    cut = command(*chat, "--regex", "[a-z]{90}", "--max-tokens", "1", folder=project)
    assert cut.returncode == 1
    assert records(cut)[-1]["verdict"] == {
        "passed": False,
        "text": "cut by max_tokens before it was whole",
    }
    assert "cut by max_tokens" in cut.stderr

    done = command(
        *chat, "--tools", "orders.py", "--tool-choice", "required", "--temperature", "0",
        folder=project,
    )  # fmt: skip
    told = records(done)
    assert [record["type"] for record in told] == ["tool.call", "tool.result", "reply"]
    assert told[0]["name"] == "get_order"
    assert json.loads(str(told[0]["arguments"])) == {"order_id": "4711"}
    assert (told[1]["result"], told[1]["failed"]) == ("4711: \x1b[31mshipped", False)
    assert [m["role"] for m in told[2]["messages"]][-2:] == ["tool", "assistant"]  # type: ignore[attr-defined]
    for line in ("read", "looking", "call get_order", "-> 4711: shipped"):
        assert line in done.stderr
    assert "\x1b" not in done.stderr
    verdict = told[2]["verdict"]
    assert isinstance(verdict, dict)
    assert done.returncode == (0 if verdict["passed"] else 1)

    auto = command(*chat, "--tools", "orders.py", folder=project)
    assert auto.returncode == 1
    assert "--tool-choice get_order" in auto.stderr
