"""Fails: the seventh line of its data is not JSON."""

from arkor_tui import FileDataset, LoraConfig, create_trainer
from arkor_tui.recipes.notify import WebhookNotifier

trainer = create_trainer(
    name="failing",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    dataset_format="chatml",
    lora=LoraConfig(r=1, alpha=1),
    max_steps=20,
    callbacks=[WebhookNotifier.from_settings(mention_on_failure=False)],
)
