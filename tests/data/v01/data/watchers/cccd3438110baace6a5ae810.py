"""waiting: a trainer for arkor-tui.

Run it:  arkor-tui start
"""

from arkor_tui import FileDataset, LoraConfig, create_arkor, create_trainer
from arkor_tui.recipes import EarlyStopping, PromptProbe

# set up in arkor-tui: {"guard_ceiling": "40", "guard_window": "3", "guard_metric": "loss", "guard_non_finite": "no", "guard_action": "now", "prompts": "I can't log in to my account."}

trainer = create_trainer(
    name='waiting',
    model='arkor-tui/tiny',
    dataset=FileDataset('data/train.jsonl'),
    lora=LoraConfig(r=1, alpha=1),
    dataset_format={'type': 'chatml'},
    dataset_split={'enabled': True, 'test_size': 0.1, 'seed': 42},
    train_on_responses_only=True,
    max_steps=6,
    learning_rate=0.01,
    batch_size=4,
    seed=42,
    warmup_steps=10,
    logging_steps=1,
    eval_steps=25,
    save_steps=3,
    callbacks=[
        EarlyStopping(ceiling=40.0, window=3, non_finite=False),
        PromptProbe([
            "I can't log in to my account.",
        ]),
    ],
)

arkor = create_arkor(trainer=trainer)
