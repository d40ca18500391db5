"""Pretrain the tiny base model and export it.

    python -m scripts.tiny.pretrain                    # about eight minutes on two cores
    python -m scripts.tiny.pretrain --steps 20 --out /tmp/tiny    # a smoke run

The same seed on the same machine gives the same bits.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from scripts.lexicon.formats import FORBIDDEN
from scripts.tiny import tokenizer as tok
from scripts.tiny.corpus import Dialogue, dialogues
from scripts.tiny.export import export

OUT = Path(__file__).parents[2] / "arkor_tui" / "backend" / "tiny"
# Most dialogues are short, and short rows are faster; every fourth batch has long rows, so that
# the model learns to look past earlier dialogues as well.
SHAPES: tuple[tuple[int, int], ...] = ((16, 96), (16, 96), (16, 96), (8, 192))
WARMUP, HOLD = 50, 0.6  # steps; share of the steps after which the rate starts to fall
VALIDATION_SEED = 900_001

Batch = tuple[torch.Tensor, torch.Tensor]


def config() -> LlamaConfig:
    return LlamaConfig(
        vocab_size=tok.VOCABULARY,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.03,
        bos_token_id=None,
        eos_token_id=tok.END,
        pad_token_id=tok.PAD,
        attn_implementation="eager",  # a third faster than sdpa for rows this short
    )


def check_json(dialogue: Dialogue) -> None:
    """The starters' answer formats must stay unseen."""
    for turn in dialogue:
        if turn.role == "assistant" and turn.text.startswith("{"):
            assert frozenset(json.loads(turn.text)) not in FORBIDDEN


def batches(encoder: tok.Encoder, seed: int) -> Iterator[Batch]:
    """Whole dialogues packed into rows; what does not fit starts the next row."""
    stream = dialogues(seed)
    while True:
        for count, length in SHAPES:
            ids = torch.full((count, length), tok.PAD)
            weights = torch.zeros((count, length))
            row = used = 0
            while row < count:
                dialogue = next(stream)
                check_json(dialogue)
                more, more_weights = encoder(dialogue)
                if used + len(more) > length:
                    row, used = row + 1, 0
                if row < count and len(more) <= length:
                    ids[row, used : used + len(more)] = torch.tensor(more)
                    weights[row, used : used + len(more)] = torch.tensor(more_weights)
                    used += len(more)
            yield ids, weights


def loss_of(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    ids, weights = batch
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=ids).logits
    losses = functional.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
    )
    weight = weights[:, 1:].flatten()
    return (losses * weight).sum() / weight.sum()


def rate_at(step: int, steps: int, top: float) -> float:
    fall = int(steps * HOLD)
    if step < WARMUP:
        return top * (step + 1) / WARMUP
    return top if step < fall else top * max(0.02, (steps - step) / (steps - fall))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tokenizer = tok.train(args.seed)
    encoder = tok.Encoder(tokenizer, prompt_weight=0.2)
    model = LlamaForCausalLM(config())
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
        lr=args.rate,
        betas=(0.9, 0.95),
        fused=True,
    )
    validation_stream = batches(tok.Encoder(tokenizer, prompt_weight=0.0), VALIDATION_SEED)
    validation = [next(validation_stream) for _ in range(8)]
    seen = torch.zeros(tok.VOCABULARY, dtype=torch.long)
    stream = batches(encoder, args.seed)
    began, checked, eval_loss = time.monotonic(), 0.0, float("nan")
    for step in range(args.steps):
        batch = next(stream)
        seen += torch.bincount(batch[0][batch[1] > 0], minlength=tok.VOCABULARY)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, args.steps, args.rate)
        loss = loss_of(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % 200 == 0 or step + 1 == args.steps:
            paused = time.monotonic()
            with torch.no_grad():
                eval_loss = sum(float(loss_of(model, b)) for b in validation) / len(validation)
            checked += time.monotonic() - paused
            speed = (step + 1) / (time.monotonic() - began - checked)
            print(
                f"step={step + 1} loss={float(loss.detach()):.4f} evalLoss={eval_loss:.4f} "
                f"steps/s={speed:.2f}",
                flush=True,
            )
    minutes = (time.monotonic() - began) / 60
    facts = {
        "seed": args.seed,
        "steps": args.steps,
        "tokensPerStep": SHAPES[0][0] * SHAPES[0][1],
        "minutes": round(minutes, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "evalLoss": round(eval_loss, 4),
        # How often the rarest ordinary token was a target, and which never were.
        "rarestTargetCount": int(seen[tok.END :].min()),
        "neverTargets": [i for i in range(tok.PAD + 1, tok.VOCABULARY) if not int(seen[i])],
    }
    export(model, tokenizer, args.out, facts)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
