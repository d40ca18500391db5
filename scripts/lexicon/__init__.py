"""Word lists and sentence makers shared by the tiny model's pretraining and the starters.

They live in one place because a word that a starter uses and the base model never saw is
learned badly: its embedding is frozen while a LoRA adapter is trained.
"""
