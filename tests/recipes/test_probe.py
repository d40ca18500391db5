"""PromptProbe on a real trainer: beside the log, in order, once, and never the run's end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from arkor_tui import AbortController, AbortError, Callback, LogContext
from arkor_tui.api.events import parse_event
from arkor_tui.api.stream import StreamEvent
from arkor_tui.chat.options import InferOptions
from arkor_tui.errors import UsageError
from arkor_tui.recipes import Expect, Golden, PromptProbe
from arkor_tui.run.findings import Finding
from arkor_tui.run.trainer import Trainer
from tests.support.frames import END, checkpoint, completed, log, started
from tests.support.memory_sink import MemorySink
from tests.support.scripted import Answer, Reply, Request, Server, stream
from tests.support.trainers import a_trainer, attached

CHAT = "/v1/inference/chat"


class Model(Server):
    """Answers each prompt with who answers and what was asked."""

    held: asyncio.Event | None = None
    refuse = False

    async def reply_to(self, request: Request) -> Reply:
        if request.path != CHAT:
            return await super().reply_to(request)
        if self.held is not None:
            await self.held.wait()
        if self.refuse:
            return Answer(503, {"error": "the model is being loaded"})
        asked = request.json
        adapter = asked.get("adapter")
        who = adapter.get("step", "final") if adapter else "base"
        text = f"{who}: {asked['messages'][-1]['content']}"
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return Answer(200, {"choices": [choice]})


@pytest.fixture
def model(server: Server) -> Model:
    server.__class__ = Model
    assert isinstance(server, Model)
    return server


def samples(trainer: Trainer) -> list[dict[str, Any]]:
    return [
        {"step": found.step, **found.data}
        for found in trainer.hooks.findings
        if found.kind == "sample"
    ]


def past(*frames: bytes) -> list[StreamEvent]:
    events = []
    for frame in frames:
        fields = dict(line.split(": ", 1) for line in frame.decode().splitlines() if line)
        events.append(StreamEvent(fields["id"], parse_event(fields["data"]), fields["data"]))
    return events


RUN = (started(), log(1), checkpoint(5), log(6), checkpoint(10), completed(), END)


async def test_prompts_are_asked_as_the_rows_begin(model: Model) -> None:
    """s2: golden prompts of a run, as Setup writes them; their own system prompt wins."""
    model.script(stream(started(), completed(), END))
    model.job = {**model.job, "name": "triage-run"}
    prompts = ["hi", Golden("ho", "You are a pirate."), Golden("ha", "")]
    trainer = a_trainer(model, PromptProbe(prompts))
    await trainer.wait()
    sent = [request.json["messages"] for request in model.asked("POST", CHAT)]
    systems = [m[0]["content"] if m[0]["role"] == "system" else None for m in sent]
    assert systems == ["You triage support tickets.", "You are a pirate.", None]
    assert [s["system"] for s in samples(trainer)] == [*systems[:2], ""]


async def test_base_checkpoints_and_final_are_asked(model: Model) -> None:
    model.script(stream(*RUN))
    good = Golden("hi", expect=Expect(contains="10"))
    trainer = a_trainer(model, PromptProbe([good, "and you?"], final=True))
    await trainer.wait()
    replies = [(s["target"], s["step"], s["prompt"], s["reply"]) for s in samples(trainer)]
    assert replies == [
        ("base", None, 0, "base: hi"),
        ("base", None, 1, "base: and you?"),
        ("checkpoint", 5, 0, "5: hi"),
        ("checkpoint", 5, 1, "5: and you?"),
        ("checkpoint", 10, 0, "10: hi"),
        ("checkpoint", 10, 1, "10: and you?"),
        ("final", None, 0, "final: hi"),
        ("final", None, 1, "final: and you?"),
    ]
    verdicts = [s["passed"] for s in samples(trainer)]
    assert verdicts == [False, None, False, None, True, None, False, None]
    assert samples(trainer)[2]["verdict"] == "lacks '10'"


async def test_the_log_goes_on_while_a_checkpoint_is_asked(model: Model) -> None:
    model.script(stream(*RUN))
    model.held = asyncio.Event()
    seen: list[int] = []

    class Watch(Callback):
        def on_log(self, ctx: LogContext) -> None:
            seen.append(ctx.step)
            if ctx.step == 6:
                assert samples(trainer) == []
                assert model.held is not None
                model.held.set()

    trainer = a_trainer(model, PromptProbe(["hi"]), Watch())
    async with asyncio.timeout(30):
        await trainer.wait()
    assert seen == [1, 6]
    assert len(samples(trainer)) == 3


async def test_one_checkpoint_is_finished_before_the_next_begins(model: Model) -> None:
    model.script(stream(started(), *(checkpoint(step) for step in (1, 2, 3)), completed(), END))
    trainer = a_trainer(model, PromptProbe(["a", "b"], baseline=False))
    await trainer.wait()
    assert [(s["step"], s["text"]) for s in samples(trainer)] == [
        (1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a"), (3, "b")
    ]  # fmt: skip


async def test_a_model_that_does_not_answer_does_not_end_the_run(model: Model) -> None:
    model.script(stream(*RUN))
    model.refuse = True
    trainer = a_trainer(model, PromptProbe(["hi"]))
    assert (await trainer.wait()).status == "completed"
    assert trainer.callback_errors == []
    first = samples(trainer)[0]
    assert first["passed"] is None
    assert "the model is being loaded" in first["verdict"]


async def test_a_check_that_raises_is_an_answer_without_a_verdict(model: Model) -> None:
    def check(reply: str) -> bool:
        raise KeyError("oops")

    model.script(stream(*RUN))
    trainer = a_trainer(model, PromptProbe([Golden("hi", expect=Expect(check=check))]))
    assert (await trainer.wait()).status == "completed"
    assert samples(trainer)[0]["verdict"] == "could not be judged: KeyError: 'oops'"


class Memory:
    """A keeper that outlives trainers."""

    def __init__(self) -> None:
        self.marks: set[str] = set()

    async def keep(self, finding: object) -> None:
        return None

    async def mark(self, mark: str) -> bool:
        fresh = mark not in self.marks
        self.marks.add(mark)
        return fresh

    async def was_marked(self, mark: str) -> bool:
        return mark in self.marks


async def test_nothing_is_asked_twice_after_a_restart(model: Model) -> None:
    memory = Memory()
    for _ in range(2):
        model.script(stream(*RUN))
        trainer = a_trainer(model, PromptProbe(["hi"]))
        MemorySink((), memory).use(trainer)
        await trainer.wait()
    assert len(model.asked("POST", CHAT)) == 3
    assert samples(trainer) == []


async def stopped_after_the_first_prompt(model: Model, memory: Memory) -> None:
    """A process that dies with the base model asked and a checkpoint half asked."""
    model.script(stream(started(), checkpoint(5), asyncio.Event()))
    controller = AbortController()

    class Dies(Callback):
        def on_finding(self, finding: Finding) -> None:
            if (finding.step, finding.data["prompt"]) == (5, 0):
                controller.abort("killed")

    trainer = a_trainer(model, PromptProbe(["a", "b"]), Dies(), abort_signal=controller.signal)
    MemorySink((), memory).use(trainer)
    with pytest.raises(AbortError):
        await trainer.wait()


async def test_what_a_restart_cut_short_is_asked_afterwards(model: Model) -> None:
    memory = Memory()
    await stopped_after_the_first_prompt(model, memory)
    model.job = {**model.job, "status": "running"}
    model.script(stream(checkpoint(10), completed(), END))
    trainer = attached(model, PromptProbe(["a", "b"]))
    MemorySink(past(started(), checkpoint(5)), memory).use(trainer)
    await trainer.wait()
    assert [(s["target"], s["step"], s["text"]) for s in samples(trainer)] == [
        ("checkpoint", 5, "b"), ("checkpoint", 10, "a"), ("checkpoint", 10, "b")
    ]  # fmt: skip
    assert len(memory.marks) == 6


async def test_a_run_that_was_handed_over_still_gets_its_baseline(model: Model) -> None:
    model.job = {**model.job, "status": "running"}
    model.script(stream(log(1), completed(), END))
    trainer = attached(model, PromptProbe(["hi"], final=True))
    MemorySink(past(started())).use(trainer)
    await trainer.wait()
    assert [s["reply"] for s in samples(trainer)] == ["base: hi", "final: hi"]


async def test_two_probes_of_a_run_are_told_apart(model: Model) -> None:
    model.script(stream(started(), completed(), END))
    trainer = a_trainer(model, PromptProbe(["a"]), PromptProbe(["b"]), PromptProbe(["c"], name="x"))
    await trainer.wait()
    kept = {f.name: f.data["text"] for f in trainer.hooks.findings}
    assert kept == {"probe": "a", "probe 2": "b", "x": "c"}


async def test_a_fault_while_asking_does_not_end_the_run_either(model: Model) -> None:
    class Broken(Golden):
        def options(self) -> InferOptions:
            raise KeyError("oops")

    model.script(stream(*RUN))
    trainer = a_trainer(model, PromptProbe([Broken("hi")]))
    assert (await trainer.wait()).status == "completed"
    assert samples(trainer)[0]["verdict"] == "could not be asked: KeyError: 'oops'"


def test_a_probe_needs_prompts() -> None:
    with pytest.raises(UsageError, match="at least one"):
        PromptProbe([])


def test_usual_settings_are_for_plain_texts() -> None:
    own = Golden("b", max_tokens=7)
    probe = PromptProbe(["a", own], system="short", max_tokens=9)
    assert [(p.system, p.max_tokens) for p in probe.prompts] == [("short", 9), (None, 7)]
