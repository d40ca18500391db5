"""The two child processes, spoken to over their pipes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.backend.spec import DatasetSpec, Every, TrainingSpec
from tests.support.amounts import patience

from .conftest import Child, many_rows

pytest.importorskip("torch")
pytestmark = pytest.mark.engine

TRAIN = "arkor_tui.backend.engine.train"
INFER = "arkor_tui.backend.engine.infer"
Start = Callable[..., Child]
Make = Callable[..., TrainingSpec]


def order(child: Child, spec: TrainingSpec, folder: Path, resume: Path | None = None) -> None:
    child.send(
        op="train",
        spec=json.loads(spec.to_json()),
        folder=str(folder),
        resume=str(resume) if resume else None,
        threads=1,
    )


@pytest.fixture
def job(tmp_path: Path) -> Path:
    return tmp_path / "job"


def test_a_whole_run_and_one_that_resumes(
    child: Start, forked: Start, make_spec: Make, job: Path
) -> None:
    spec = make_spec(
        held_out=0.1, max_steps=8, save_every=Every(steps=4), eval_every=Every(steps=4)
    )
    first = child(TRAIN)
    order(first, spec, job)
    messages = first.until("completed", "failed")
    assert [m["type"] for m in messages] == [
        "started", *["log"] * 4, "checkpoint", *["log"] * 4, "checkpoint", "completed",
    ]  # fmt: skip
    metadata = messages[0]["metadata"]
    assert metadata["model"] == "test/random"
    assert (metadata["rows"], metadata["heldOut"], metadata["steps"]) == (18, 2, 8)
    assert (metadata["truncated"], metadata["resumedFrom"]) == (0, None)
    assert metadata["parameters"] > metadata["trainable"] > 0
    log = messages[4]
    assert {"step", "loss", "evalLoss", "learningRate", "epoch", "samplesPerSecond"} <= set(log)
    assert log["epoch"] == 0.8
    assert messages[5]["path"] == "checkpoints/step-4"
    assert {a["name"] for a in messages[5]["artifacts"]} >= {
        "adapter_model.safetensors",
        "adapter_config.json",
    }
    assert first.next() is None
    assert first.process.wait(patience(10)) == 0

    second = forked(TRAIN)
    order(second, spec, job, job / "checkpoints" / "step-4")
    again = second.until("completed", "failed")
    assert again[0]["metadata"]["resumedFrom"] == 4
    logs = [m for m in again if m["type"] == "log"]
    assert [m["step"] for m in logs] == [5, 6, 7, 8]
    assert [m["loss"] for m in logs] == [m["loss"] for m in messages[6:10]]


def test_a_dry_run_is_short(forked: Start, make_spec: Make, job: Path) -> None:
    rows = many_rows(70)
    spec = make_spec(rows=rows, held_out=60, max_steps=500, dry_run=True, log_every=Every(steps=9))
    process = forked(TRAIN)
    order(process, spec, job)
    messages = process.until("completed", "failed")
    metadata = messages[0]["metadata"]
    assert metadata["rows"] + metadata["heldOut"] == 50
    assert (metadata["steps"], messages[-1]["step"]) == (10, 10)


def test_cancel_is_prompt_and_saves_nothing(forked: Start, make_spec: Make, job: Path) -> None:
    process = forked(TRAIN)
    order(process, make_spec(max_steps=100_000, save_every=Every(steps=100_000)), job)
    process.until("log")
    before = time.monotonic()
    process.send(op="cancel")
    last = process.until("cancelled", "failed", "completed")[-1]
    assert time.monotonic() - before < patience(1)
    assert last["type"] == "cancelled"
    assert last["step"] >= 1
    assert process.next() is None
    assert process.process.wait(patience(5)) == 0
    assert list(job.rglob("*.safetensors")) == []


def test_cancel_before_training_has_begun(child: Start, make_spec: Make, job: Path) -> None:
    process = child(TRAIN)
    order(process, make_spec(), job)
    process.send(op="cancel")
    before = time.monotonic()
    assert process.until("cancelled", "failed", "started")[-1] == {"type": "cancelled", "step": 0}
    assert time.monotonic() - before < patience(2)


def test_broken_rows_fail_at_once_with_one_clear_text(
    child: Start, make_spec: Make, job: Path
) -> None:
    process = child(TRAIN)
    order(process, make_spec(rows=[many_rows(1)[0], b"{"]), job)
    failed = process.until("failed", "started")[-1]
    assert failed["type"] == "failed"
    assert failed["step"] is None
    assert "line 2: not valid JSON" in failed["error"]
    assert "Traceback" not in failed["error"]
    assert process.process.wait(patience(5)) == 0


def test_an_unknown_model_fails_clearly(child: Start, make_spec: Make, job: Path) -> None:
    missing = job.parent / "nothing-here"
    missing.mkdir()
    process = child(TRAIN)
    order(process, make_spec(model_source=str(missing)), job)
    failed = process.until("failed", "started")[-1]
    assert "nothing-here" in failed["error"]
    assert "cannot be loaded" in failed["error"]
    process.process.wait(5)


def test_an_order_that_is_none(child: Start) -> None:
    process = child(TRAIN)
    process.send(op="train", spec={})
    assert process.until("failed")[-1]["step"] is None


def test_the_token_is_written_nowhere(forked: Start, make_spec: Make, job: Path) -> None:
    spec = make_spec()
    dataset = DatasetSpec("blob", "http://data.invalid/x?q=hush", token="s3cr3t-token")
    process = forked(TRAIN)
    order(process, replace(spec, dataset=dataset), job)
    failed = process.until("failed", "started")[-1]
    process.process.wait(5)
    process.close()
    written = json.dumps(failed) + b"".join(process.errors).decode()
    assert "https" in failed["error"]
    assert "s3cr3t" not in written
    assert "hush" not in written


@pytest.mark.parametrize("module", [TRAIN, INFER])
def test_a_child_ends_with_its_server(
    child: Start, make_spec: Make, job: Path, module: str
) -> None:
    process = child(module)
    if module == TRAIN:
        order(process, make_spec(max_steps=100_000), job)
        process.until("log")
    else:
        process.until("ready")
    assert process.process.stdin is not None
    process.process.stdin.close()
    assert process.process.wait(patience(5)) == 0


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs POSIX signals")
def test_the_signal_of_a_thread_that_ended_harms_nobody(child: Start) -> None:
    process = child(INFER)
    process.until("ready")
    os.kill(process.process.pid, signal.SIGUSR1)
    process.send(op="chat", id=1, model_source="/none", adapter="/none", request={"messages": []})
    assert process.until("error")[-1]["status"] == 404


def test_what_libraries_print_does_not_reach_the_protocol(child: Start) -> None:
    script = (
        "import os, sys, subprocess\n"
        "from arkor_tui.backend.engine.child import Channel\n"
        "channel = Channel.take_stdout()\n"
        "print('python print')\n"
        "os.write(1, b'c print\\n')\n"
        "subprocess.run(['echo', 'child print'])\n"
        "channel.emit('log', text='caf\\u00e9 \\ud800 \\n')\n"
        "print(channel.finish('completed'), channel.finish('failed'), file=sys.stderr)\n"
        "channel.emit('log')\n"
    )
    process = child("", script=script)
    assert process.next() == {"type": "log", "text": "café \ud800 \n"}
    assert process.next() == {"type": "completed"}
    assert process.next() is None
    process.close()
    errors = b"".join(process.errors).decode()
    for text in ("python print", "c print", "child print", "True False"):
        assert text in errors


def test_a_missing_engine_is_told_to_who_asks(child: Start) -> None:
    script = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from arkor_tui.backend.engine.infer import main\n"
        "main()\n"
    )
    process = child("", script=script)
    process.send(op="chat", id=1, model_source="/x", adapter=None, request={"messages": []})
    error = process.until("error")[-1]
    assert (error["status"], error["code"]) == (503, "engine_missing")
    assert "pip install 'arkor-tui[local]'" in error["error"]


@pytest.fixture(scope="module")
def served(model_folder: Path) -> Iterator[Chat]:
    process = Child(INFER)
    assert process.next() == {"type": "ready"}
    yield Chat(process, str(model_folder))
    process.close()


class Chat:
    """Chat requests to one inference child; every test uses ids of its own."""

    _next = 0

    def __init__(self, process: Child, source: str) -> None:
        self.process = process
        self._source = source

    def ask(self, *, adapter: str | None = None, source: str | None = None, **request: Any) -> str:
        Chat._next += 1
        identity = f"chat-{Chat._next}"
        request = {"messages": [{"role": "user", "content": "the cat"}], **request}
        self.process.send(
            op="chat",
            id=identity,
            model_source=source or self._source,
            adapter=adapter,
            request=request,
        )
        return identity

    def answers(self, *identities: str) -> dict[str, list[dict[str, Any]]]:
        """All messages of each request, up to its last one."""
        found: dict[str, list[dict[str, Any]]] = {i: [] for i in identities}
        while any(not m or m[-1]["type"] == "delta" for m in found.values()):
            message = self.process.next()
            assert message is not None
            found[message["id"]].append(message)
        return found

    def reply(self, **options: Any) -> list[dict[str, Any]]:
        identity = self.ask(**options)
        return self.answers(identity)[identity]


def test_a_chat(served: Chat) -> None:
    *deltas, done = served.reply(temperature=1.0, seed=5, max_tokens=20)
    assert done["type"] == "done"
    assert done["finishReason"] in ("stop", "length")
    assert "".join(d["text"] for d in deltas) == done["text"]
    assert done["usage"]["promptTokens"] > 0
    assert 0 < done["usage"]["completionTokens"] <= 20
    assert "toolCalls" not in done


def test_requests_at_a_time_do_not_disturb_each_other(served: Chat) -> None:
    asked = [{"temperature": 1.2, "seed": s % 3, "max_tokens": 40} for s in range(9)]
    identities = [served.ask(**ask) for ask in asked]
    texts = [m[-1]["text"] for m in served.answers(*identities).values()]
    assert texts[:3] == texts[3:6] == texts[6:]
    assert len(set(texts)) == 3


def test_stop_ends_a_generation(served: Chat) -> None:
    constraint = {"kind": "regex", "value": "[a-z]{3000}", "options": {}}
    identity = served.ask(constraint=constraint, max_tokens=3000)
    other = served.ask(seed=1, max_tokens=5)
    served.process.send(op="stop", id=identity)
    served.process.send(op="stop", id="nobody")
    found = served.answers(identity, other)
    assert found[identity][-1]["finishReason"] == "aborted"
    assert found[identity][-1]["usage"]["completionTokens"] < 200
    assert found[other][-1]["finishReason"] in ("stop", "length")


def test_a_constraint_and_a_tool(served: Chat) -> None:
    done = served.reply(constraint={"kind": "choice", "value": ["yes", "no"]})[-1]
    assert done["text"] in ("yes", "no")
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    *deltas, done = served.reply(tools=tools, tool_choice="required")
    assert (deltas, done["finishReason"], done["text"]) == ([], "tool_calls", "")
    (call,) = done["toolCalls"]
    assert call["type"] == "function"
    assert call["id"].startswith("call_")
    assert call["function"] == {"name": "f", "arguments": "{}"}
    *deltas, done = served.reply(tools=tools, tool_choice="f", max_tokens=2)
    assert done["finishReason"] == "length"
    assert "toolCalls" not in done
    assert "".join(d["text"] for d in deltas) == done["text"] != ""


@pytest.mark.parametrize(
    ("options", "status", "code", "word"),
    [
        ({"adapter": "/nothing/here"}, 404, None, "does not exist"),
        ({"source": "/nothing/model"}, 500, "model_not_loadable", "cannot be loaded"),
        ({"constraint": {"kind": "regex", "value": "("}}, 400, "invalid_schema", "regex"),
        ({"messages": [{"role": "robot"}]}, 400, None, "Unknown role"),
        ({"unheard_of": 1}, 400, None, "none"),
        (
            {"messages": [{"role": "user", "content": "x" * 400}]},
            400,
            "context_length_exceeded",
            "256",
        ),
    ],
)
def test_errors(
    served: Chat, options: dict[str, Any], status: int, code: str | None, word: str
) -> None:
    (error,) = served.reply(**options)
    assert (error["type"], error["status"], error.get("code")) == ("error", status, code)
    assert word in error["error"]
    assert "Traceback" not in error["error"]


def test_lines_that_are_no_messages_are_ignored(served: Chat) -> None:
    stdin = served.process.process.stdin
    assert stdin is not None
    stdin.write(b"\n[1]\nnot json\n{}\n")
    stdin.flush()
    assert served.reply(max_tokens=2)[-1]["type"] == "done"
