"""Runs on request, in a long-lived web server: a fresh trainer for each, waited for in background.

    pip install starlette uvicorn
    uvicorn examples.web_route:app

    POST /runs {"name": "for-anna"}    starts a run, answers with its job id at once
    GET /runs/ID                       its status, and the last loss
    DELETE /runs/ID                    stops it on the backend

A trainer drives one run, so a factory makes a new one for each request. Every task that waits
belongs to the app: when the server goes down, waiting ends, and the runs go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

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


@dataclass
class Run(Callback):
    """What the server knows of one run."""

    trainer: Trainer | None = None
    loss: float | None = None
    error: str | None = None

    def on_log(self, ctx: LogContext) -> None:
        """Keep the last loss."""
        self.loss = ctx.loss if ctx.loss is not None else self.loss


def make_trainer(name: str, steps: int, run: Run) -> Trainer:
    """A fresh trainer for one request."""
    return create_trainer(
        name=name,
        model="arkor-tui/tiny",
        dataset=FileDataset(DATA),
        lora=LoraConfig(r=16, alpha=32),
        max_steps=steps,
        learning_rate=0.01,
        callbacks=[run],
        backend="local",
    )


async def follow(run: Run) -> None:
    """Wait for the end; a failure is told by GET, and takes nothing else with it."""
    assert run.trainer is not None
    try:
        await run.trainer.wait()
    except ArkorTuiError as error:
        run.error = error.message


async def start(request: Request) -> JSONResponse:
    """POST /runs"""
    wish = await request.json()
    run = Run()
    run.trainer = make_trainer(str(wish.get("name", "run")), int(wish.get("steps", 100)), run)
    try:
        job_id = await run.trainer.start()
    except ArkorTuiError as error:
        return JSONResponse({"error": error.message, "hint": error.hint}, 502)
    request.app.state.runs[job_id] = run
    task = request.app.state.tasks.create_task(follow(run))
    request.app.state.waiting.add(task)
    task.add_done_callback(request.app.state.waiting.discard)
    return JSONResponse({"id": job_id}, 201)


async def status(request: Request) -> JSONResponse:
    """GET /runs/ID"""
    run = request.app.state.runs.get(request.path_params["id"])
    if run is None:
        return JSONResponse({"error": "no such run"}, 404)
    return JSONResponse({"status": run.trainer.job.status, "loss": run.loss, "error": run.error})


async def stop(request: Request) -> JSONResponse:
    """DELETE /runs/ID"""
    run = request.app.state.runs.get(request.path_params["id"])
    if run is None:
        return JSONResponse({"error": "no such run"}, 404)
    state = await run.trainer.stop("stopped by request")
    return JSONResponse({"stopped": state.confirmed, "message": state.message})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Owns the tasks that wait for runs."""
    app.state.runs, app.state.waiting = {}, set()
    async with asyncio.TaskGroup() as tasks:
        app.state.tasks = tasks
        try:
            yield
        finally:
            for task in list(app.state.waiting):
                task.cancel()


app = Starlette(
    routes=[
        Route("/runs", start, methods=["POST"]),
        Route("/runs/{id}", status, methods=["GET"]),
        Route("/runs/{id}", stop, methods=["DELETE"]),
    ],
    lifespan=lifespan,
)
