"""Runs on request, in a long-lived web server: a fresh trainer for each, waited for in background.

    pip install starlette uvicorn
    uvicorn examples.web_route:app

    POST /runs {"name": "for-anna"}    starts a run, answers with its job id at once
    GET /runs/ID                       its status, and the last loss
    DELETE /runs/ID                    stops it on the backend

A trainer drives one run, so a factory makes a new one for each request. Every task that waits
belongs to the app: when the server goes down, waiting ends, and the runs go on. There is no sign-in
here: put one in front before anybody else can reach it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from arkor_tui import (
    ArkorTuiError,
    Callback,
    FileDataset,
    LogContext,
    LoraConfig,
    Trainer,
    create_trainer,
)

DATA = Path(__file__).parent / "data" / "tickets.jsonl"
MOST_STEPS = 10_000

log = logging.getLogger(__name__)


class LastLoss(Callback):
    """Keeps the last loss of a run."""

    def __init__(self) -> None:
        self.value: float | None = None

    def on_log(self, ctx: LogContext) -> None:
        """Keep it, where the event has one."""
        self.value = ctx.loss if ctx.loss is not None else self.value


def make_trainer(name: str, steps: int, loss: LastLoss) -> Trainer:
    """A fresh trainer for one request."""
    return create_trainer(
        name=name,
        model="arkor-tui/tiny",
        dataset=FileDataset(DATA),
        lora=LoraConfig(r=16, alpha=32),
        max_steps=steps,
        learning_rate=0.01,
        callbacks=[loss],
        backend="local",
    )


@dataclass
class Run:
    """What the server knows of one run."""

    trainer: Trainer
    loss: LastLoss
    waiting: asyncio.Task[None] | None = None
    error: str | None = None

    async def follow(self) -> None:
        """Wait for the end. What goes wrong is told by GET, and takes no other run with it."""
        try:
            await self.trainer.wait()
        except ArkorTuiError as error:
            self.error = error.message
        except Exception as error:
            log.exception("following %s", self.trainer.name)
            self.error = f"unexpected {type(error).__name__}"


class Shared(TypedDict):
    """What every request sees as ``request.state``."""

    runs: dict[str, Run]
    tasks: asyncio.TaskGroup


def wish_of(body: object) -> tuple[str, int]:
    """Name and steps of a request.

    Raises:
        ValueError: it asks for something else.
    """
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 wrong value, not a bug
    name, steps = body.get("name", "run"), body.get("steps", 100)
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise ValueError("name must be a text of 1 to 100 characters")
    if type(steps) is not int or not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"steps must be a whole number from 1 to {MOST_STEPS}")
    return name, steps


async def start(request: Request) -> JSONResponse:
    """POST /runs"""
    try:
        name, steps = wish_of(await request.json())
    except ValueError as error:  # text that is no JSON is one of these too
        return JSONResponse({"error": str(error)}, 400)
    loss = LastLoss()
    run = Run(make_trainer(name, steps, loss), loss)
    try:
        job_id = await run.trainer.start()
    except ArkorTuiError as error:
        await run.trainer.aclose()
        return JSONResponse({"error": error.message, "hint": error.hint}, 502)
    request.state.runs[job_id] = run
    run.waiting = request.state.tasks.create_task(run.follow(), name=f"follow {job_id}")
    return JSONResponse({"id": job_id}, 201)


async def status(request: Request) -> JSONResponse:
    """GET /runs/ID"""
    run: Run | None = request.state.runs.get(request.path_params["id"])
    if run is None or run.trainer.job is None:
        return JSONResponse({"error": "no such run"}, 404)
    told = {"status": run.trainer.job.status, "loss": run.loss.value, "error": run.error}
    return JSONResponse(told)


async def stop(request: Request) -> JSONResponse:
    """DELETE /runs/ID"""
    run: Run | None = request.state.runs.get(request.path_params["id"])
    if run is None:
        return JSONResponse({"error": "no such run"}, 404)
    if run.trainer.result is not None:
        return JSONResponse({"error": f"the run has ended: {run.trainer.result.status}"}, 409)
    state = await run.trainer.stop("stopped by request")
    if run.waiting is None or run.waiting.done():
        await run.trainer.aclose()  # otherwise the waiting closes it
    told = {"stopped": state.confirmed, "message": state.message}
    return JSONResponse(told, 200 if state.confirmed else 502)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[Shared]:
    """Owns the tasks that wait for runs: none outlives it."""
    del app
    runs: dict[str, Run] = {}
    async with asyncio.TaskGroup() as tasks:
        try:
            yield {"runs": runs, "tasks": tasks}
        finally:
            for run in runs.values():
                if run.waiting is not None:
                    run.waiting.cancel()


app = Starlette(
    routes=[
        Route("/runs", start, methods=["POST"]),
        Route("/runs/{id}", status, methods=["GET"]),
        Route("/runs/{id}", stop, methods=["DELETE"]),
    ],
    lifespan=lifespan,
)
