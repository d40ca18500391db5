"""Its losses are no numbers soon: what the archive keeps as gaps."""

from arkor_tui import FileDataset, LoraConfig, create_trainer
from arkor_tui.recipes import EarlyStopping

trainer = create_trainer(
    name="diverged",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    lora=LoraConfig(r=1, alpha=1000),
    max_steps=400,
    learning_rate=10.0,
    batch_size=4,
    logging_steps=1,
    seed=42,
    callbacks=[EarlyStopping()],
)
