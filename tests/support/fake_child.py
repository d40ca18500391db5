"""A stand-in for both engine processes: speaks ``ipc``, trains nothing, does what it is told.

The training script is read from the dataset's file, one command a line:
``started``, ``log STEP``, ``nan STEP``, ``checkpoint STEP``, ``raw TEXT``, ``wait FILE`` (until it
exists or a cancel comes), ``die CODE``, ``kill``, ``fail TEXT``, ``complete``, ``deaf`` (ignore
cancels from here on).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

cancelled = threading.Event()
deaf = threading.Event()


def say(kind: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"type": kind, **fields}) + "\n")
    sys.stdout.flush()


def listen() -> None:
    for line in sys.stdin:
        if json.loads(line)["op"] == "cancel" and not deaf.is_set():
            cancelled.set()
    os._exit(0)  # the server is gone


def train() -> None:
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=listen, daemon=True).start()
    folder = Path(order["folder"])
    (folder / "order.json").write_text(json.dumps(order))
    begin = int(Path(order["resume"]).name.rpartition("-")[2]) if order["resume"] else 0
    for line in Path(order["spec"]["dataset"]["location"]).read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word in ("log", "checkpoint") and int(rest) <= begin:
            continue
        if word == "started" and begin:
            say("started", metadata={"steps": 100, "resumedFrom": begin})
            continue
        run(word, rest, folder)
        if cancelled.is_set():
            say("cancelled", step=None)
            return


def run(word: str, rest: str, folder: Path) -> None:
    if word == "started":
        say("started", metadata={"steps": 100})
    elif word == "log":
        say("log", step=int(rest), loss=1 / int(rest), learningRate=0.1)
    elif word == "nan":
        say("log", step=int(rest), loss=float("nan"), nonFinite={"loss": "nan"})
    elif word == "checkpoint":
        path = f"checkpoints/step-{int(rest):06d}"
        (folder / path).mkdir(parents=True, exist_ok=True)
        say("checkpoint", step=int(rest), path=path, artifacts=[path])
    elif word == "raw":
        sys.stdout.write(rest + "\n")
        sys.stdout.flush()
    elif word == "unfinished":
        (folder / "checkpoints" / ".tmp-step-9").mkdir(parents=True)
    elif word == "wait":
        while not Path(rest).exists() and not cancelled.wait(0.01):
            pass
    elif word == "deaf":
        deaf.set()
    elif word == "die":
        sys.stderr.write("something \x1b]0;evil\x07went wrong\n")
        sys.exit(int(rest))
    elif word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "fail":
        say("failed", error=rest, step=3)
        sys.exit(0)
    elif word == "complete":
        (folder / "final").mkdir(exist_ok=True)
        say("completed", step=10, path="final", artifacts=["final"], metrics={"totalSteps": 10})


class Chat(threading.Thread):
    """Echoes the last message word by word; ``!`` words are commands."""

    def __init__(self, order: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.order = order
        self.stop = threading.Event()

    def run(self) -> None:
        text = self.order["request"]["messages"][-1]["content"]
        request_id, sent = self.order["id"], ""
        for word in text.split():
            if word == "!die":
                os._exit(3)
            elif word == "!refuse":
                say(
                    "error",
                    id=request_id,
                    status=400,
                    error="no such schema",
                    code="invalid_schema",
                )
                return
            elif word == "!break":
                say("error", id=request_id, status=500, error="broke", code=None)
                return
            elif word.startswith("!until="):
                # go on until the request is stopped, then say so in a file
                while not self.stop.wait(0.005):
                    say("delta", id=request_id, text=".")
                Path(word.partition("=")[2]).write_text("stopped")
                return
            elif word == "!tool":
                call = {"id": "call_1", "type": "function"}
                call["function"] = {"name": "f", "arguments": "{}"}  # type: ignore[assignment]
                say("done", id=request_id, finishReason="tool_calls", text="", toolCalls=[call])
                return
            else:
                sent += word + " "
                say("delta", id=request_id, text=word + " ")
        say(
            "done",
            id=request_id,
            finishReason="stop",
            text=sent,
            usage={"promptTokens": 3, "completionTokens": len(text.split())},
        )


def infer() -> None:
    say("ready")
    running: dict[str, Chat] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if order["op"] == "chat":
            running[order["id"]] = Chat(order)
            running[order["id"]].start()
        elif order["id"] in running:
            running[order["id"]].stop.set()


if __name__ == "__main__":
    {"train": train, "infer": infer}[sys.argv[1]]()
