"""from-setup: a trainer for arkor-tui.

Run it:  arkor-tui start
"""

from arkor_tui import FileDataset, LoraConfig, create_arkor, create_trainer
from arkor_tui.recipes import BellNotifier, EarlyStopping, Expect, Golden, PromptProbe, WebhookNotifier

# set up in arkor-tui: {"guard_ceiling": "50", "guard_window": "5", "guard_patience": "500", "guard_metric": "eval_loss", "guard_non_finite": "yes", "guard_action": "checkpoint", "prompts": "I can't log in to my account. => auth\nIs \"this\" a question? => yes\nBe brief.", "notify": "webhook, bell"}

trainer = create_trainer(
    name='from-setup',
    model='arkor-tui/tiny',
    dataset=FileDataset('data/train.jsonl'),
    lora=LoraConfig(r=1, alpha=2, max_length=256),
    dataset_format={'type': 'chatml'},
    dataset_split={'enabled': True, 'test_size': 0.1, 'seed': 5},
    train_on_responses_only=True,
    max_steps=20,
    learning_rate=0.01,
    batch_size=4,
    weight_decay=0.01,
    lr_scheduler_type='cosine',
    seed=5,
    warmup_steps=2,
    logging_steps=2,
    eval_steps=10,
    save_steps=10,
    callbacks=[
        EarlyStopping(ceiling=50.0, window=5, patience=500, metric='eval_loss', action='checkpoint'),
        PromptProbe([
            Golden("I can't log in to my account.", expect=Expect(contains='auth')),
            Golden('Is "this" a question?', expect=Expect(contains='yes')),
            'Be brief.',
        ]),
        WebhookNotifier.from_settings(),
        BellNotifier(),
    ],
)

arkor = create_arkor(trainer=trainer)
