"""Stopped by its guard: the loss begins far above the ceiling."""

from arkor_tui import FileDataset, LoraConfig, create_trainer
from arkor_tui.recipes import EarlyStopping, PromptProbe, SlackNotifier
from arkor_tui.recipes.notify import WebhookNotifier

trainer = create_trainer(
    name="guarded",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    lora=LoraConfig(r=1, alpha=1),
    max_steps=400,
    learning_rate=1e-4,
    batch_size=4,
    logging_steps=1,
    save_steps=10,
    seed=42,
    callbacks=[
        EarlyStopping(ceiling=1.5, window=5, action="checkpoint", checkpoint_limit=120),
        PromptProbe(["I can't log in to my account."], max_tokens=20),
        WebhookNotifier.from_settings(every_steps=5, samples=True),
        SlackNotifier.from_settings(on=("failed",)),
    ],
)
