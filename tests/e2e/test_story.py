"""The whole way of a run, over real HTTP, with real training."""

from __future__ import annotations

import json
import signal
from contextlib import aclosing
from pathlib import Path
from statistics import mean

import pytest

from arkor_tui import (
    CheckpointContext,
    FileDataset,
    LoraConfig,
    ReconnectPolicy,
    StartedContext,
    Trainer,
    create_trainer,
)
from arkor_tui.api.events import CheckpointSaved, TrainingFailed, TrainingLog
from arkor_tui.chat.infer import Infer
from tests.support.amounts import patience

from .conftest import Backend, Proxy

pytestmark = pytest.mark.engine
QUICK = ReconnectPolicy(base_delay=0.02, max_delay=0.2)


@pytest.fixture
def kept_engine() -> None:
    """None: here all processes are those that people have."""


def a_trainer(rows: Path, max_steps: int, **more: object) -> Trainer:
    return create_trainer(
        name="story",
        model="arkor-tui/tiny",
        dataset=FileDataset(rows),
        dataset_format="chatml",
        lora=LoraConfig(r=8, alpha=16),
        max_steps=max_steps,
        batch_size=4,
        learning_rate=1e-2,
        logging_steps=1,
        save_steps=5,
        train_on_responses_only=True,
        policy=QUICK,
        **more,  # type: ignore[arg-type]
    )


async def test_train_lose_the_connection_resume_chat_and_cancel(
    backend: Backend, proxy: Proxy, rows: Path
) -> None:
    replies: dict[int, str] = {}

    async def answer(infer: Infer) -> str:
        return (await infer("I cannot log in.", max_tokens=12, temperature=0)).text

    async def on_started(ctx: StartedContext) -> None:
        replies[0] = await answer(ctx.infer)

    async def on_checkpoint(ctx: CheckpointContext) -> None:
        if ctx.step in (5, 10):
            replies[ctx.step] = await answer(ctx.infer)

    trainer = a_trainer(rows, 100_000, on_started=on_started, on_checkpoint=on_checkpoint)
    connection = backend.connection(proxy.url)
    trainer.use(connection)
    ids: list[int] = []
    logged: list[int] = []
    losses: list[float] = []
    async with aclosing(trainer.events()) as events:
        async for item in events:
            assert item.id is not None
            ids.append(int(item.id))
            if isinstance(item.event, TrainingLog):
                assert item.event.loss is not None
                logged.append(item.event.step)
                losses.append(item.event.loss)
                if item.event.step in (2, 4):
                    proxy.cut()
            if isinstance(item.event, CheckpointSaved) and item.event.step == 10:
                await trainer.cancel()
            last = item.event
    result = trainer.result
    answered_later = await answer(trainer.infer(step=5))
    await connection.aclose()

    assert proxy.cuts == 2
    assert trainer.counters.connections >= 3
    assert ids == list(range(1, len(ids) + 1)), "each event once, in order"
    assert logged == list(range(1, len(logged) + 1))
    assert replies[5], "the checkpoint answered while training went on"
    assert len({replies[0], replies[5], replies[10]}) == 3, "each of weights of its own"
    assert answered_later == replies[5], "of the weights that were saved then"
    assert len(set(losses)) == len(losses), "each of a batch of its own"
    assert mean(losses[-3:]) < losses[0] / 2, "it learns"
    assert isinstance(last, TrainingFailed)
    assert last.error == "Job cancelled"
    assert result is not None
    assert result.status == "cancelled"


async def test_a_killed_backend_finds_everything_again(backend: Backend, rows: Path) -> None:
    trainer = a_trainer(rows, 40)
    connection = backend.connection()
    trainer.use(connection)
    before: list[tuple[str | None, str]] = []
    async with aclosing(trainer.events()) as events:
        async for item in events:
            before.append((item.id, item.data))
            if isinstance(item.event, CheckpointSaved) and item.event.step == 10:
                backend.kill()
                break
    await connection.aclose()
    assert trainer.job is not None

    backend.start()
    again = backend.connection()
    async with again.client as client:
        assert (await client.get_job(again.scope, trainer.job.id)).job.status == "running"
        follower = Trainer.attach(trainer.job.id, connection=again, policy=QUICK)
        after: list[tuple[str | None, str]] = []
        async with aclosing(follower.events()) as events:
            async for item in events:
                after.append((item.id, item.data))
        assert after[: len(before)] == before, "nothing that was told is lost or changed"
        ids = [int(event_id) for event_id, _ in after if event_id is not None]
        assert ids == list(range(1, len(after) + 1)), "no id is used twice"
        assert follower.result is not None
        assert follower.result.status == "completed"
        reply = await follower.infer(step=10)("I cannot log in.", max_tokens=8)
        assert reply.text
        final = await follower.infer()("I cannot log in.", max_tokens=8)
        assert final.text
    resumed = [json.loads(data) for _, data in after[len(before) :]]
    steps = [event["step"] for event in resumed if event["type"] == "training.log"]
    assert steps[-1] == 40
    # some were told twice where the kill came after them; none before the checkpoint was
    assert sorted(set(steps)) == list(range(11, 41))


async def test_sigterm_keeps_the_job_for_the_next_start(backend: Backend, rows: Path) -> None:
    trainer = a_trainer(rows, 15)
    connection = backend.connection()
    trainer.use(connection)
    async with aclosing(trainer.events()) as events:
        async for item in events:
            if isinstance(item.event, CheckpointSaved):
                assert backend.process is not None
                backend.process.send_signal(signal.SIGTERM)
                backend.process.wait(timeout=patience(10))
                break
    await connection.aclose()
    assert trainer.job is not None
    assert not (backend.data_dir / "local" / "backend.json").exists()
    backend.start()
    again = backend.connection()
    result = await Trainer.attach(trainer.job.id, connection=again, policy=QUICK).wait()
    await again.aclose()
    assert result.status == "completed"
