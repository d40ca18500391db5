"""by-hand: a trainer for arkor-tui.

Run it:  arkor-tui start
"""

from arkor_tui import FileDataset, LoraConfig, create_arkor, create_trainer
from arkor_tui.recipes import EarlyStopping, PromptProbe

# set up in arkor-tui: {"guard_ceiling": "60", "guard_metric": "loss", "guard_non_finite": "no", "guard_action": "now", "prompts": "I was charged twice this month."}

trainer = create_trainer(
    name='by-hand',
    model='arkor-tui/tiny',
    dataset=FileDataset('data/train.jsonl'),
    lora=LoraConfig(r=1, alpha=4),
    dataset_format={'type': 'chatml'},
    dataset_split={'enabled': True, 'test_size': 0.1, 'seed': 42},
    train_on_responses_only=True,
    max_steps=400,
    learning_rate=0.01,
    batch_size=8,
    weight_decay=0.0,
    lr_scheduler_type='linear',
    seed=42,
    warmup_steps=10,
    logging_steps=2,
    eval_steps=10,
    save_steps=10,
    callbacks=[
        EarlyStopping(ceiling=60.0, non_finite=False),
        PromptProbe([
            'I was charged twice this month.',
        ]),
    ],
)

arkor = create_arkor(trainer=trainer)
