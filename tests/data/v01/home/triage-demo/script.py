"""A plain script: the backend has its run; the archive hears of it when the app asks."""

from arkor_tui import FileDataset, LoraConfig, create_trainer, run_trainer

result = run_trainer(
    create_trainer(
        name="from-a-script",
        model="arkor-tui/tiny",
        dataset=FileDataset("data/train.jsonl"),
        lora=LoraConfig(r=1, alpha=1),
        max_steps=6,
        batch_size=4,
    ),
    raise_on_failure=True,
)
print(result.status)
