"""Redaction: teach a small model to hide private details in text.

Run it:  arkor-tui start
"""

import math

from arkor_tui import FileDataset, LoraConfig, create_arkor, create_trainer

# What the model is asked at every checkpoint. The first line is the system prompt of the
# dataset; ask the way you trained, or the model will not know what you want.
QUESTION = [
    {"role": "system", "content": "You hide private details in text."},
    {"role": "user", "content": "Please write to anna.keller@example.com about order 48213."},
]


async def on_started(ctx):
    print(f"started {ctx.job.id}")
    reply = await ctx.infer(QUESTION, max_tokens=80, temperature=0)
    print(f"step 0 (base model): {reply.text}")


def on_log(ctx):
    parts = [f"step={ctx.step}"]
    for label, value in (("loss", ctx.loss), ("evalLoss", ctx.eval_loss)):
        if value is not None and math.isfinite(value):
            parts.append(f"{label}={value:.4f}")
    print(" ".join(parts))


async def on_checkpoint(ctx):
    # The checkpoint itself answers, while training goes on. Nothing forces it to write JSON
    # here, so you can watch it learn the format.
    reply = await ctx.infer(QUESTION, max_tokens=80, temperature=0)
    print(f"step {ctx.step}: {reply.text}")


def on_completed(ctx):
    count = len(ctx.artifacts)
    print(f"completed {ctx.job.id}, {count} artifact{'' if count == 1 else 's'}")


def on_failed(ctx):
    where = "" if ctx.step is None else f" at step {ctx.step}"
    print(f"failed{where}: {ctx.error}")


trainer = create_trainer(
    name="redaction-run",
    # The small model that comes with arkor-tui. To train on Arkor's cloud instead, use
    #   model="unsloth/gemma-4-E4B-it",
    #   dataset=HuggingFaceDataset(name="arkorlab/redaction-demo"),
    # import HuggingFaceDataset above, and set learning_rate=2e-4: a large model needs far less.
    model="arkor-tui/tiny",
    # Your own data: one JSON object a line, {"messages": [system, user, assistant]}.
    dataset=FileDataset("data/train.jsonl"),
    dataset_format={"type": "chatml"},
    dataset_split={"enabled": True, "test_size": 0.1, "seed": 42},
    lora=LoraConfig(r=16, alpha=32),
    max_steps=100,
    batch_size=16,
    learning_rate=1e-2,
    lr_scheduler_type="linear",
    warmup_steps=10,
    weight_decay=0.0,
    logging_steps=5,
    eval_steps=25,
    save_steps=25,
    train_on_responses_only=True,  # learn the answers, not the questions
    seed=42,
    on_started=on_started,
    on_log=on_log,
    on_checkpoint=on_checkpoint,
    on_completed=on_completed,
    on_failed=on_failed,
)

arkor = create_arkor(trainer=trainer)
