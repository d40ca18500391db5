"""Stopped because a golden prompt is answered wrongly."""

from arkor_tui import FileDataset, LoraConfig, create_trainer
from arkor_tui.recipes import EarlyStopping, Expect, Golden, PromptProbe, SampleRule

trainer = create_trainer(
    name="badly-answered",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    lora=LoraConfig(r=1, alpha=1),
    max_steps=400,
    batch_size=16,
    logging_steps=5,
    save_steps=5,
    seed=42,
    callbacks=[
        PromptProbe(
            [Golden("Hello.", expect=Expect(contains="never said"), name="greeting")],
            baseline=False,
            max_tokens=10,
        ),
        EarlyStopping(samples=SampleRule.failed(times=1)),
    ],
)
