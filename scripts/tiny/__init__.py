"""How the tiny base model is made: corpus, tokenizer, pretraining, evaluation."""
