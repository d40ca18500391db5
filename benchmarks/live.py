"""The Live screen under load, in a pseudo-terminal of 120 by 36 cells.

- Bytes written at one event a second (target: at most 3 KB a second), and with no event at all
  (target: 0).
- Key to paint while 2,000 events a second arrive (target: 99th percentile at most 50 ms), and
  whether every event is in the archive afterwards.
- Opening a run of a million archived log events (target: at most 500 ms) and the memory of the
  process then (target: below 250 MB).

The app is the real one; its backend is a scripted server on loopback that sends real SSE.
"""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import struct
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path

from .report import Figure, at_least, at_most, command_line, run

JOB = "job_bench"
_CONFIG = {
    "model": "arkor-tui/tiny", "maxSteps": 1_000_000,
    "datasetSource": {"type": "file", "path": "/data.jsonl"},
}  # fmt: skip


def job(status: str = "running") -> dict[str, object]:
    """The job record that the server tells."""
    return {
        "id": JOB, "orgId": "o", "projectId": "p", "name": "bench", "status": status,
        "config": _CONFIG, "createdAt": "2026-01-01T00:00:00Z", "startedAt": "2026-01-01T00:00:01Z",
    }  # fmt: skip


def log_event(step: int) -> str:
    """One log event's JSON."""
    return json.dumps(
        {
            "type": "training.log", "jobId": JOB, "step": step,
            "timestamp": f"2026-01-01T00:{step // 60 % 60:02}:{step % 60:02}.000Z",
            "loss": 2.0 / (1 + step / 50) + (step * 7919 % 100) / 1000, "evalLoss": None,
            "learningRate": 1e-3, "epoch": step / 100, "samplesPerSecond": 80.0,
        }
    )  # fmt: skip


class Server:
    """Answers like the embedded backend for one running job; events come at ``rate`` a second."""

    def __init__(self) -> None:
        self.rate = 0.0
        self.sent = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            while line := reader.readline():
                path = line.split()[1].decode()
                length = 0
                while (header := reader.readline()).strip():
                    if header.lower().startswith(b"content-length"):
                        length = int(header.split(b":")[1])
                reader.read(length)
                if "/events/stream" in path:
                    self._stream(connection)
                    return
                body: dict[str, object] = {"job": job()} if JOB in path else {"jobs": [job()]}
                text = json.dumps(body).encode()
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"X-Arkor-Tui-Backend: 1\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
                )

    def _stream(self, connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        )
        due = time.perf_counter()
        while True:
            if self.rate <= 0:
                time.sleep(0.05)
                due = time.perf_counter()
                continue
            chunk = max(int(self.rate / 100), 1)
            frames = []
            for _ in range(chunk):
                self.sent += 1
                kind = "training.log"
                frames.append(f"id: {self.sent}\nevent: {kind}\ndata: {log_event(self.sent)}\n\n")
            try:
                connection.sendall("".join(frames).encode())
            except OSError:
                return
            due += chunk / self.rate
            time.sleep(max(due - time.perf_counter(), 0))


class Terminal:
    """The app in a pty; everything that it writes is counted."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self.began = time.perf_counter()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(environment["HOME"])
            os.execve(sys.executable, [sys.executable, "-m", "arkor_tui", *arguments], environment)
        ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        self.seen = b""

    def read(self, seconds: float) -> int:
        """Read for a while; how many bytes came."""
        count, end = 0, time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            ready, _, _ = select.select([self.master], [], [], left)
            if ready:
                data = os.read(self.master, 1 << 16)
                count += len(data)
                self.seen = (self.seen + data)[-200_000:]
        return count

    def until(self, wanted: Callable[[bytes], bool], seconds: float = 30) -> float:
        """Read until something is on screen; seconds that it took."""
        began = time.perf_counter()
        while not wanted(self.seen):
            if time.perf_counter() - began > seconds:
                raise TimeoutError(f"it did not appear: {self.seen[-2000:]!r}")
            self.read(0.002)
        return time.perf_counter() - began

    def press(self, key: bytes) -> float:
        """Press a key; seconds until the app writes something after it."""
        self.read(0.02)
        began = time.perf_counter()
        os.write(self.master, key)
        ready, _, _ = select.select([self.master], [], [], 5)
        waited = time.perf_counter() - began
        if ready:
            self.seen += os.read(self.master, 1 << 16)
        return waited

    def memory(self) -> float:
        """Megabytes of the process."""
        with Path(f"/proc/{self.pid}/status").open() as status:
            line = next(line for line in status if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def close(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.master)


def environment(home: Path, server: Server) -> dict[str, str]:
    """A home of its own, and the token of the scripted server."""
    token = home / "token"
    token.write_text("t" * 64)
    token.chmod(0o600)
    (home / "data").mkdir(mode=0o700, exist_ok=True)
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("SSH_", "TMUX"))},
        "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8", "COLORTERM": "truecolor",
        "ARKOR_TUI_DATA_DIR": str(home / "data"), "ARKOR_TUI_CONFIG_DIR": str(home / "config"),
        "ARKOR_TUI_TOKEN_FILE": str(token),
    }  # fmt: skip


def steady() -> list[Figure]:
    """Bytes a second, and key to paint in a flood."""
    from arkor_tui.archive.store import Archive

    server = Server()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        terminal = Terminal(["--backend", server.url], environment(home, server))
        try:
            terminal.until(lambda seen: b"bench" in seen)
            terminal.read(2)
            os.write(terminal.master, b"\x1b")  # the welcome of an empty archive
            terminal.read(1)
            os.write(terminal.master, b"\r")
            terminal.until(lambda seen: b"Statistics" in seen)
            server.rate = 100
            terminal.read(5)
            server.rate = 1
            terminal.read(4)
            per_second = terminal.read(20) / 20
            server.rate = 2_000
            terminal.read(2)
            waits = sorted(terminal.press(b"j" if n % 2 else b"k") for n in range(200))
            server.rate = 0
            terminal.read(4)
            sent = server.sent
        finally:
            terminal.close()
        with Archive.open(home / "data" / "history.db") as archive:
            kept = archive.runs()[0].events
    return [
        at_most(3_000, "Live written at 1 event/s, 120x36", per_second, "bytes/s"),
        at_most(50, "key to paint at 2,000 events/s, 99th percentile", waits[197] * 1e3, "ms"),
        Figure("key to paint at 2,000 events/s, median", waits[100] * 1e3, "ms"),
        at_least(1, f"share of {sent:,} sent events that are archived", kept / sent, ""),
    ]


def million() -> list[Figure]:
    """Opening a run of a million archived log events."""
    from arkor_tui.api.jobs import Job
    from arkor_tui.archive.records import NewEvent, RunIdentity
    from arkor_tui.archive.store import Archive

    count = 1_000_000
    server = Server()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        variables = environment(home, server)
        with Archive.open(home / "data" / "history.db") as archive:
            done = Job.model_validate({**job("completed"), "completedAt": "2026-01-02T00:00:00Z"})
            key = archive.register(RunIdentity("local", "local", "x", JOB), done)
            for start in range(1, count, 5_000):
                archive.append(
                    key,
                    [
                        NewEvent(str(n), "training.log", n, None, log_event(n))
                        for n in range(start, start + 5_000)
                    ],
                )
            end = json.dumps({"type": "training.completed", "jobId": JOB})
            archive.append(key, [NewEvent("end", "training.completed", None, None, end)])
        terminal = Terminal(["--backend", "local"], variables)
        try:
            terminal.until(lambda seen: b"bench" in seen)
            terminal.read(2)
            terminal.seen = b""
            os.write(terminal.master, b"\r")
            spent = terminal.until(lambda seen: b"training completed" in seen)
            terminal.read(2)
            memory = terminal.memory()
            quiet = terminal.read(5)
        finally:
            terminal.close()
    return [
        at_most(500, f"Live opened on {count:,} archived events", spent * 1e3, "ms"),
        at_most(250, "memory of the app then", memory, "MB"),
        at_most(0, "bytes written in 5 s while nothing changes", quiet, ""),
    ]


def main() -> int:
    """Print the figures."""
    return run(command_line(__doc__), lambda: [*steady(), *million()])


if __name__ == "__main__":
    raise SystemExit(main())
