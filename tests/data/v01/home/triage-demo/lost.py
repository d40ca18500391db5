"""Goes on after the machine: its supervisor and the backend are killed in the middle."""

from arkor_tui import FileDataset, LoraConfig, create_arkor, create_trainer
from arkor_tui.recipes import EarlyStopping, PromptProbe

trainer = create_trainer(
    name="lost",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    lora=LoraConfig(r=1, alpha=2),
    max_steps=30,
    learning_rate=1e-2,
    batch_size=16,
    logging_steps=2,
    save_steps=10,
    train_on_responses_only=True,
    seed=42,
    callbacks=[
        EarlyStopping(ceiling=50.0, window=5, patience=500),
        PromptProbe(["I can't log in to my account."], max_tokens=20),
    ],
)
arkor = create_arkor(trainer=trainer)
