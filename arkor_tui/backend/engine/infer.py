"""The inference child: ``python -m arkor_tui.backend.engine.infer`` (``ipc`` has its protocol)."""

from __future__ import annotations

import os
import secrets
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_tui.backend.ipc import ChatSpec, Constraint

from .child import Channel, die_with_parent, read_lines, serve_lines
from .errors import ModelError, RequestError, explain
from .libraries import import_libraries

if TYPE_CHECKING:
    from .targets import Targets

_AT_ONCE = 4
"""Replies that are generated at a time; more wait for their turn."""


class Service:
    """Serves chat requests, each in a thread of its own."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stops: dict[Any, threading.Event] = {}
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(_AT_ONCE)
        self._ready = threading.Event()
        self._targets: Targets | None = None
        self._broken: RequestError | None = None

    def start(self) -> None:
        """Import the engine, then say that requests are served at once.

        If it cannot be imported, every request is answered with the reason.
        """
        try:
            self._import()
        except Exception as error:
            traceback.print_exc()
            self._broken = RequestError(explain(error), status=503, code="engine_missing")
        self._ready.set()
        self._channel.emit("ready")

    def _import(self) -> None:
        import_libraries()
        import torch

        # one thread: training has the other cores, and small models gain nothing from more
        torch.set_num_threads(1)
        from . import decode  # noqa: F401
        from .targets import Targets

        self._targets = Targets()

    def warm_up(self) -> None:
        """Load the model that ships with the package, the one most often asked for."""
        folder = Path(__file__).parents[1] / "tiny"
        if self._targets is None or not folder.is_dir():
            return
        try:
            target = self._targets.get(str(folder), None)
            from .decode import generate

            generate(target, ChatSpec([{"role": "user", "content": "."}], max_tokens=2))
        except Exception:  # whoever asks for it is told the reason
            traceback.print_exc()

    def handle(self, message: dict[str, Any]) -> None:
        """A line from the server."""
        identity = message.get("id")
        if message.get("op") == "stop":
            with self._lock:
                stop = self._stops.get(identity)
            if stop is not None:
                stop.set()
        elif message.get("op") == "chat":
            stop = threading.Event()
            with self._lock:
                self._stops[identity] = stop
            threading.Thread(
                target=self._serve, args=(identity, message, stop), name="chat", daemon=True
            ).start()

    def _serve(self, identity: Any, message: dict[str, Any], stop: threading.Event) -> None:
        try:
            with self._turns:
                self._channel.emit("done", **self._answer(identity, message, stop))
        except RequestError as error:
            self._fail(identity, error, error.status, error.code)
        except ModelError as error:
            traceback.print_exc()
            self._fail(identity, error, 500, "model_not_loadable")
        except Exception as error:
            traceback.print_exc()
            self._fail(identity, error, 500, None)
        finally:
            with self._lock:
                self._stops.pop(identity, None)

    def _loaded(self) -> Targets:
        """The targets, as soon as the engine is there."""
        self._ready.wait()
        if self._broken is not None:
            raise self._broken
        assert self._targets is not None
        return self._targets

    def _fail(self, identity: Any, error: Exception, status: int, code: str | None) -> None:
        extra = {"code": code} if code else {}
        self._channel.emit("error", id=identity, status=status, error=explain(error), **extra)

    def _answer(
        self, identity: Any, message: dict[str, Any], stop: threading.Event
    ) -> dict[str, Any]:
        """The fields of the ``done`` line; deltas are written on the way."""
        targets = self._loaded()
        from .constrain import tool_call_of
        from .decode import generate

        chat = chat_of(message)
        target = targets.get(message["model_source"], message.get("adapter"))
        calls_tool = chat.tool_choice is not None

        def on_text(text: str) -> None:
            self._channel.emit("delta", id=identity, text=text)

        reply = generate(
            target, chat, on_text=_ignore if calls_tool else on_text, stopped=stop.is_set
        )
        fields: dict[str, Any] = {
            "id": identity,
            "finishReason": reply.finish_reason,
            "text": reply.text,
            "usage": {
                "promptTokens": reply.prompt_tokens,
                "completionTokens": reply.completion_tokens,
            },
        }
        if calls_tool:
            call = tool_call_of(reply.text) if reply.finish_reason == "stop" else None
            if call is None:
                on_text(reply.text)  # cut off: shown as it is, since no call can be made of it
            else:
                fields["finishReason"] = "tool_calls"
                fields["text"] = ""
                call_id = f"call_{secrets.token_hex(12)}"
                fields["toolCalls"] = [{"id": call_id, "type": "function", "function": call}]
        return fields


def chat_of(message: dict[str, Any]) -> ChatSpec:
    """The request in a ``chat`` line.

    Raises:
        RequestError: it is none.
    """
    try:
        raw = dict(message["request"])
        if raw.get("constraint") is not None:
            raw["constraint"] = Constraint(**raw["constraint"])
        return ChatSpec(**raw)
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError("The inference process was sent a request that is none.") from error


def _ignore(_text: str) -> None:
    return None


def main() -> None:
    """Serve until stdin closes."""
    from .train import quiet_libraries

    channel = Channel.take_stdout()
    die_with_parent()
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    quiet_libraries()
    service = Service(channel)
    serve_lines(read_lines(), service.handle)
    service.start()
    service.warm_up()
    threading.Event().wait()  # the thread that reads stdin ends the process


if __name__ == "__main__":
    main()
