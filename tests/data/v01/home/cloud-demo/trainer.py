"""For Arkor's cloud; a backend of 0.1 with --allow-anonymous stands in for it here."""

from arkor_tui import HuggingFaceDataset, LoraConfig, create_arkor, create_trainer

trainer = create_trainer(
    name="cloud-run",
    model="unsloth/gemma-4-E4B-it",
    dataset=HuggingFaceDataset("arkorlab/triage-demo"),
    lora=LoraConfig(r=1, alpha=16),
    max_steps=10,
    batch_size=4,
    learning_rate=1e-2,
    logging_steps=2,
    save_steps=5,
)
arkor = create_arkor(trainer=trainer)
