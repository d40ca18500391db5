"""Written by hand, in the words of 0.1's README and docs: every import that they name is here."""

import os
from typing import Any, Literal

from pydantic import BaseModel

import arkor_tui.recipes
import arkor_tui.recipes.notify
from arkor_tui import (
    AbortController,
    AbortError,
    AbortSignal,
    ApiError,
    Arkor,
    ArkorTuiError,
    BlobDataset,
    Callback,
    CallbackError,
    CheckpointContext,
    CompletedContext,
    FailedContext,
    FileDataset,
    HuggingFaceDataset,
    LocalModel,
    LogContext,
    LoraConfig,
    ReconnectPolicy,
    RunFailedError,
    StartedContext,
    Trainer,
    TrainingResult,
    TypedReply,
    create_arkor,
    create_trainer,
    is_arkor,
    load_trainer,
    run_trainer,
    run_trainer_async,
)
from arkor_tui import ReplyError as PublicReplyError
from arkor_tui import tool as public_tool
from arkor_tui.errors import ArkorTuiError as SameError
from arkor_tui.plain import plain
from arkor_tui.recipes import (
    AppriseNotifier,
    BellNotifier,
    DiscordNotifier,
    EarlyStopping,
    Expect,
    Golden,
    GuardSettings,
    Observation,
    PromptProbe,
    SampleRule,
    SlackNotifier,
    WebhookNotifier,
    WhatIf,
    what_if,
)
from arkor_tui.recipes.notify import Message, Notifier, Outcome, send_test
from arkor_tui.recipes.notify import SlackNotifier as SameNotifier
from arkor_tui.training.tools import tool
from arkor_tui.training.typed import ReplyError

assert SameError is ArkorTuiError
assert PublicReplyError is ReplyError
assert public_tool is tool
assert SameNotifier is SlackNotifier
ALSO_PUBLIC = (
    AbortError, AbortSignal, ApiError, Arkor, CallbackError, FailedContext, Notifier, Outcome,
    RunFailedError, Trainer, TrainingResult, TypedReply, WhatIf, load_trainer, run_trainer,
    run_trainer_async, send_test,
)  # fmt: skip
OTHER_DATA = [
    HuggingFaceDataset("arkorlab/triage-demo", split="test", subset="en"),
    BlobDataset("https://example.com/rows.jsonl", token=os.environ.get("DATA_TOKEN")),
]
OTHER_MODEL = LocalModel("models/my-model")
GRAMMAR = 'start: "order " /[0-9]{4}/ (" shipped" | " open")'
SYSTEM = "You triage support tickets."


class Triage(BaseModel):
    category: Literal["auth", "billing", "bug", "feature_request", "other"]
    urgency: Literal["low", "medium", "high"]


class TeamsNotifier(WebhookNotifier):
    service = "Teams"
    default_env = "TEAMS_WEBHOOK_URL"

    def payload(self, message: Message) -> dict[str, Any]:
        return {"type": "message", "text": message.text}


class Diary(Callback):
    def on_log(self, ctx: LogContext) -> None:
        print(f"diary: step {ctx.step}, loss {plain(f'{ctx.loss:.3f}')}")


@tool
def get_order(order_id: str) -> str:
    """Look an order up.

    Args:
        order_id: The number on the invoice.
    """
    return f"{order_id} was shipped"


def on_started(ctx: StartedContext) -> None:
    print(f"started {ctx.job.name}")


async def on_checkpoint(ctx: CheckpointContext) -> None:
    reply = await ctx.infer.typed("I can't log in.", Triage, max_tokens=60, temperature=0)
    try:
        print(f"step {ctx.step}: {reply.unwrap().category}")
    except ReplyError as error:
        print(f"step {ctx.step}: {plain(error.problem)}")
    mood = await ctx.infer.typed("Thanks a lot!", choice=("happy", "neutral", "angry"))
    code = await ctx.infer.typed("The ticket's code?", regex=r"[A-Z]{2}-[0-9]{4}")
    line = await ctx.infer.typed("What about order 4711?", grammar=GRAMMAR)
    print(f"step {ctx.step}: {mood.value}, {code.value}, {line.value}")


async def on_completed(ctx: CompletedContext) -> None:
    reply = await ctx.infer.with_tools(
        "Where is order 4711?", [get_order], tool_choice="get_order", max_tokens=40, max_rounds=2
    )
    for call in reply.calls:
        print(f"called {call.name}: {'failed' if call.failed else 'fine'}")
    print(f"completed with {len(ctx.artifacts)} artifacts")


def too_slow(ctx: LogContext) -> str | None:
    if ctx.samples_per_second is not None and ctx.samples_per_second < 0.001:
        return f"only {ctx.samples_per_second:.4f} samples a second"
    return None


logged = [Observation(step, loss=loss) for step, loss in enumerate([2.0, 1.2, 6.1, 7.4], start=1)]
assert what_if(logged, GuardSettings(ceiling=5.0, window=2)).step == 4

controller = AbortController()
trainer = create_trainer(
    name="handwritten",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    dataset_format={"type": "chatml"},
    dataset_split={"enabled": True, "test_size": 0.1, "seed": 42},
    lora=LoraConfig(r=1, alpha=2, max_length=256),
    max_steps=20,
    learning_rate=1e-2,
    batch_size=4,
    warmup_steps={"ratio": 0.1},
    lr_scheduler_type="cosine",
    weight_decay=0.01,
    logging_steps=5,
    eval_steps=10,
    save_steps={"ratio": 0.5},
    train_on_responses_only=True,
    seed=7,
    abort_signal=controller.signal,
    policy=ReconnectPolicy(base_delay=0.5),
    on_started=on_started,
    on_checkpoint=on_checkpoint,
    on_completed=on_completed,
    callbacks=[
        Diary(),
        PromptProbe(
            [
                Golden(
                    "I can't log in to my account.",
                    system=SYSTEM,
                    schema=Triage,
                    expect=Expect(equals={"category": "auth"}),
                    max_tokens=40,
                    name="login",
                ),
                Golden("Say yes or no.", choice=["yes", "no"], max_tokens=8),
                Golden("Be brief.", expect=Expect(check=lambda text: len(text) < 80 or "too long")),
                "Please cancel my plan.",
            ],
            system=SYSTEM,
            max_tokens=30,
        ),
        PromptProbe("prompts.toml", baseline=False, final=True),
        EarlyStopping(
            ceiling=50.0,
            window=3,
            patience=1_000,
            min_delta=0.01,
            metric="loss",
            predicate=too_slow,
            samples=SampleRule.failed(times=100),
            action="checkpoint",
            checkpoint_limit=300,
            abort_signal=controller.signal,
        ),
        SlackNotifier.from_env("SLACK_WEBHOOK_URL"),
        DiscordNotifier.from_env("DISCORD_WEBHOOK_URL"),
        AppriseNotifier.from_env("APPRISE_URL"),
        WebhookNotifier.from_settings(on=("completed", "failed"), connection_minutes=15),
        TeamsNotifier.from_env(),
        BellNotifier(on=("failed",)),
    ],
)
arkor = create_arkor(trainer=trainer)
assert is_arkor(arkor)
