"""One process that has imported the machine-learning libraries, and forks the engine's processes.

To import torch, transformers and peft takes seconds of a processor, and a run needs them twice.
Where a test is about something else, :mod:`engine_stub` stands in the process's place and this one
forks what runs the same ``main`` on the same pipes. What ends the stub ends the fork; its exit code
is the stub's. Linux only.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
STUB = Path(__file__).with_name("engine_stub.py")
MODULES = {name: f"arkor_tui.backend.engine.{name}" for name in ("train", "infer")}
_ALSO = ("transformers.models.llama.modeling_llama", "transformers.optimization", "llguidance")


def command_of(address: str, name: str) -> list[str]:
    """The command of a stub for ``train`` or ``infer``."""
    return [sys.executable, "-I", "-S", str(STUB), address, MODULES[name]]


@contextmanager
def running_engine() -> Iterator[str | None]:
    """Keep an engine; its address, or None where it cannot be had."""
    if not hasattr(os, "pidfd_open"):
        yield None
        return
    folder = tempfile.mkdtemp(prefix="kept-")  # short, as addresses of such sockets have to be
    address = f"{folder}/engine"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.kept_engine", address],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), "the kept engine did not start"
            yield address
        finally:
            process.kill()
    shutil.rmtree(folder)


def serve(address: str) -> None:
    """Fork a process for each stub that comes, until stdin ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("listening", flush=True)
        from arkor_tui.backend.engine.libraries import import_libraries

        import_libraries()
        for name in (*_ALSO, *MODULES.values()):
            import_module(name)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers
        while sys.stdin.fileno() not in select.select([listener, sys.stdin], [], [])[0]:
            stub, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _keep(stub)
            stub.close()


def _keep(stub: socket.socket) -> NoReturn:
    """Fork the process, and end with it; or end it, when the stub has gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, pipes, _, _ = socket.recv_fds(stub, 4, 3)
    with stub.makefile("rb") as reader:
        order = json.loads(reader.read(int.from_bytes(size, "big")))
    process = os.fork()
    if process == 0:
        stub.close()
        _become(order, pipes)
    for pipe in pipes:
        os.close(pipe)
    ended = os.pidfd_open(process)
    if stub in select.select([stub, ended], [], [])[0]:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    with suppress(OSError):
        stub.sendall(str(max(os.waitstatus_to_exitcode(status), 0)).encode())
    os._exit(0)


def _become(order: dict[str, dict[str, str]], pipes: list[int]) -> NoReturn:
    """Be the process that was asked for, in its folder and with its environment."""
    try:
        for number, pipe in enumerate(pipes):
            os.dup2(pipe, number)
            os.close(pipe)
        os.environ.clear()
        os.environ.update(order["environment"])
        os.chdir(str(order["folder"]))
        import_module(str(order["module"])).main()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
