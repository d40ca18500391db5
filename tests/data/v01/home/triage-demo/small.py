from arkor_tui import FileDataset, LoraConfig, create_trainer

trainer = create_trainer(
    name="thrown-away",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    lora=LoraConfig(r=1, alpha=1),
    max_steps=100,
    batch_size=4,
)
