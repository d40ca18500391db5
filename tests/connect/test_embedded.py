"""Finding the embedded backend or starting it, and every way in which that goes wrong."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from arkor_tui import FileDataset, __version__, create_trainer
from arkor_tui.backend import server as server_module
from arkor_tui.config.atomic import WriteFailedError
from arkor_tui.config.folders import local_backend_dir
from arkor_tui.config.local_backend import LocalBackendInfo, lock_file, mark_stopped
from arkor_tui.connect import embedded as module
from arkor_tui.connect.detached import Detached
from arkor_tui.connect.embedded import (
    BackendStoppedError,
    EmbeddedBackendError,
    ensure_embedded_backend,
)
from tests.support.scripted import LOCAL_TOKEN, Server, announce

SERVING = b'{"type": "serving"}\n'


def here(url: str, version: str | None = None) -> LocalBackendInfo:
    token_file = local_backend_dir() / "token"
    token_file.touch(0o600)
    token_file.write_text(LOCAL_TOKEN)
    return announce(url, token_file, version)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Callable[..., list[Any]]]:
    """Make the start of ``serve`` come out as told; returns what was started."""
    running: list[subprocess.Popen[bytes]] = []

    def come_out(
        line: bytes = b"",
        *,
        said: str = "",
        ends: bool = True,
        then: Callable[[], Any] = lambda: None,
    ) -> list[Any]:
        started: list[Any] = []
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        running.append(process)
        if ends:
            process.kill()
            process.wait()
        log = home / "serve.log"
        log.write_text(said)

        async def start(words: Any, **_options: Any) -> Detached:
            started.append(words)
            then()
            return Detached(process, line, log, 0)

        monkeypatch.setattr(module, "start_detached", start)
        return started

    yield come_out
    for process in running:
        process.kill()
        process.communicate()


async def test_one_that_runs_is_used(embedded: Server, starts: Any) -> None:
    started, info = starts(), here(embedded.url)
    assert await ensure_embedded_backend() == info
    assert started == []


async def test_one_of_another_version_is_told_and_begins_nothing_new(
    embedded: Server, starts: Any
) -> None:
    """After an upgrade in place its children would be looked for where 0.1 had them."""
    started, told = starts(), list[str]()
    info = here(embedded.url, "0.0.9")
    assert await ensure_embedded_backend(report=told.append) == info
    assert started == []
    assert len(told) == 1
    assert "of arkor-tui 0.0.9" in told[0]
    assert "`arkor-tui serve --stop`" in told[0]
    trainer = create_trainer(
        name="new", model="arkor-tui/tiny", dataset=FileDataset("rows.jsonl"), backend="local"
    )
    with pytest.raises(EmbeddedBackendError, match=r"of arkor-tui 0\.0\.9.*begin nothing new"):
        await trainer.start()
    assert not [request for request in embedded.requests if request.method == "POST"]
    await trainer.aclose()


async def test_one_of_this_version_is_not_remarked_on(embedded: Server, starts: Any) -> None:
    told = list[str]()
    here(embedded.url, __version__)
    await ensure_embedded_backend(report=told.append)
    assert told == []


async def test_one_that_does_not_answer_any_more_is_started_again(
    embedded: Server, starts: Any
) -> None:
    here("http://127.0.0.1:1")
    started = starts(SERVING, ends=False, then=lambda: here(embedded.url))
    reports: list[str] = []
    info = await ensure_embedded_backend(report=reports.append)
    assert info.url == embedded.url
    assert started == [("serve", "--json")]
    assert reports == [
        "Starting the embedded backend …",
        f"The embedded backend runs at {embedded.url} (pid {os.getpid()}).",
    ]


async def test_none_is_started_where_that_is_not_wanted(starts: Any) -> None:
    started = starts()
    with pytest.raises(EmbeddedBackendError, match="not running"):
        await ensure_embedded_backend(may_start=False)
    assert started == []


async def test_what_is_not_installed_is_named(starts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started = starts()
    monkeypatch.setattr(module, "ENGINE_MODULES", ("json", "no_such_engine"))
    with pytest.raises(EmbeddedBackendError, match=r"not installed \(no_such_engine missing\)"):
        await ensure_embedded_backend()
    assert started == []


async def test_a_folder_without_locks_is_named(
    starts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r21: whoever starts it, and the backend itself."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    starts()
    monkeypatch.setattr(module.fcntl, "flock", refuse)
    with pytest.raises(WriteFailedError, match="No locks available") as caught:
        await ensure_embedded_backend()
    assert "ARKOR_TUI_DATA_DIR" in (caught.value.hint or "")
    with (
        pytest.raises(WriteFailedError, match="No locks available"),
        server_module._locked(local_backend_dir()),
    ):
        pass


async def test_however_many_ask_at_once_it_is_started_once(embedded: Server, starts: Any) -> None:
    """r12: in a new home, where not even the folders are there yet."""
    started = starts(SERVING, ends=False, then=lambda: here(embedded.url))
    found = await asyncio.gather(*[ensure_embedded_backend() for _ in range(5)])
    assert {info.url for info in found} == {embedded.url}
    assert len(started) == 1


async def test_one_that_is_just_coming_up_is_waited_for(embedded: Server, starts: Any) -> None:
    """r12: somebody else has started it by hand, and it does not answer yet."""
    started = starts()
    embedded.token = None  # it says 404 as yet
    here(embedded.url)
    with lock_file(local_backend_dir()).open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        async with asyncio.TaskGroup() as both:
            found = both.create_task(ensure_embedded_backend())
            for _ in range(2):
                await embedded.asked_for("/")
            embedded.token = LOCAL_TOKEN
    assert found.result().url == embedded.url
    assert started == []


async def test_a_start_by_hand_that_was_faster_is_waited_for(embedded: Server, starts: Any) -> None:
    with ExitStack() as stack:

        def by_hand() -> None:
            held = stack.enter_context(lock_file(local_backend_dir()).open("wb"))
            fcntl.flock(held, fcntl.LOCK_EX)
            here(embedded.url)

        started = starts(b'{"type": "failed", "message": "taken"}', then=by_hand)
        assert (await ensure_embedded_backend()).url == embedded.url
        assert len(started) == 1


async def test_one_that_was_stopped_is_started_only_by_who_asks_for_it(
    embedded: Server, starts: Any
) -> None:
    """r15: nothing of ours undoes `serve --stop` by itself."""
    started = starts(SERVING, ends=False, then=lambda: here(embedded.url))
    mark_stopped()
    with pytest.raises(BackendStoppedError, match="was stopped") as raised:
        await ensure_embedded_backend(after_stop=False)
    assert "`arkor-tui serve` starts it again" in (raised.value.hint or "")
    assert started == []
    assert (await ensure_embedded_backend()).url == embedded.url
    assert started == [("serve", "--json")]


async def test_a_crash_may_be_mended_without_being_asked(embedded: Server, starts: Any) -> None:
    """r15: a stop that comes in between is still respected by the process that is started."""
    started = starts(SERVING, ends=False, then=lambda: here(embedded.url))
    assert (await ensure_embedded_backend(after_stop=False)).url == embedded.url
    assert started == [("serve", "--json", "--unless-stopped")]


@pytest.mark.parametrize(("line", "ends"), [(b"", False), (SERVING, False)])
async def test_a_start_that_leads_nowhere_has_a_limit(
    starts: Any, monkeypatch: pytest.MonkeyPatch, line: bytes, ends: bool
) -> None:
    monkeypatch.setattr(module, "_START_SECONDS", 0.1)
    starts(line, ends=ends)
    with pytest.raises(EmbeddedBackendError, match="did not start within 0.1 seconds") as raised:
        await ensure_embedded_backend()
    assert str(local_backend_dir() / "serve.log") in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("said", "told"), [("no such port", "no such port"), ("", "it said nothing.")]
)
async def test_what_it_said_before_it_ended_is_the_reason(
    starts: Any, said: str, told: str
) -> None:
    starts(said=said)
    with pytest.raises(EmbeddedBackendError) as raised:
        await ensure_embedded_backend()
    assert raised.value.message == f"The embedded backend did not start: {told}"
