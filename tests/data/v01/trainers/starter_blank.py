"""A trainer of your own: change what is marked with >>>, then run it.

Run it:  arkor-tui start
"""

from arkor_tui import FileDataset, LoraConfig, create_arkor, create_trainer

trainer = create_trainer(
    # >>> What the run is called.
    name="my-run",
    # >>> The base model: "arkor-tui/tiny" trains anywhere; on Arkor's cloud use
    # "unsloth/gemma-4-E4B-it" (and learning_rate=2e-4); LocalModel("path") is one of this machine.
    model="arkor-tui/tiny",
    # >>> Your data, one JSON object a line: {"messages": [{"role": "user", "content": "…"},
    # {"role": "assistant", "content": "…"}]}. The two rows of data/train.jsonl are placeholders.
    # HuggingFaceDataset("name") and BlobDataset("https://…") read from elsewhere.
    dataset=FileDataset("data/train.jsonl"),
    dataset_format={"type": "chatml"},
    # >>> With some hundred rows of your own: a tenth held out, for the eval loss.
    # dataset_split={"enabled": True, "test_size": 0.1, "seed": 42},
    # eval_steps=25,
    lora=LoraConfig(r=16, alpha=32),
    max_steps=20,
    batch_size=2,
    learning_rate=1e-2,
    logging_steps=5,
    save_steps=10,
    train_on_responses_only=True,
    seed=42,
    # >>> What watches over the run: from arkor_tui.recipes import EarlyStopping, PromptProbe
    # callbacks=[EarlyStopping(ceiling=5.0), PromptProbe(["A prompt of yours"])],
)

arkor = create_arkor(trainer=trainer)
