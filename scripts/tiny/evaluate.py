"""Fine-tune the tiny model on a starter with a bare loop, and measure it on the held-out rows.

python -m scripts.tiny.evaluate                      # all three starters
python -m scripts.tiny.evaluate triage --rate 5e-3   # one, with another learning rate
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from scripts.lexicon.formats import KEY_SETS

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "arkor_tui" / "backend" / "tiny"
STARTERS = ROOT / "arkor_tui" / "starters"
MEASURED_STEPS = (0, 25, 50, 100)
IGNORED = -100

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Settings:
    rate: float = 1e-2
    alpha: int = 32
    r: int = 16
    steps: int = 100
    batch: int = 16
    warmup: int = 10
    seed: int = 42
    heldout: int = 100


@dataclass(frozen=True)
class Score:
    valid: float
    fields: dict[str, float]  # share of rows in which this field is exactly right
    sample: str


def read_rows(path: Path) -> list[Messages]:
    return [json.loads(line)["messages"] for line in path.read_text("utf-8").splitlines()]


def encode(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> tuple[list[int], list[int]]:
    """Token ids and labels; only the answer counts."""
    prompt = tokenizer.apply_chat_template(
        messages[:-1], add_generation_prompt=True, tokenize=True, return_dict=False
    )
    whole = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)
    assert whole[: len(prompt)] == prompt
    return whole, [IGNORED] * len(prompt) + whole[len(prompt) :]


def collate(rows: list[tuple[list[int], list[int]]], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows])
    labels = torch.tensor([marks + [IGNORED] * (width - len(marks)) for _, marks in rows])
    mask = torch.tensor([[1] * len(i) + [0] * (width - len(i)) for i, _ in rows])
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def answer_loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return functional.cross_entropy(
        logits[:, :-1].float().flatten(0, 1),
        batch["labels"][:, 1:].flatten(),
        ignore_index=IGNORED,
    )


def answers(
    model: Any, tokenizer: PreTrainedTokenizerBase, rows: list[Messages], temperature: float
) -> list[str]:
    texts = []
    for start in range(0, len(rows), 50):
        prompts = [
            tokenizer.apply_chat_template(row[:-1], add_generation_prompt=True, tokenize=False)
            for row in rows[start : start + 50]
        ]
        batch = tokenizer(
            prompts, return_tensors="pt", padding=True, padding_side="left",
            add_special_tokens=False, return_token_type_ids=False,
        )  # fmt: skip
        options: dict[str, Any] = {"do_sample": False}
        if temperature:
            options = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        with torch.no_grad():
            output = model.generate(**batch, max_new_tokens=80, **options)
        texts += tokenizer.batch_decode(
            output[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
        )
    return texts


def score(starter: str, rows: list[Messages], texts: list[str]) -> Score:
    valid = 0
    right = dict.fromkeys(KEY_SETS[starter], 0)
    for row, text in zip(rows, texts, strict=True):
        try:
            answer = json.loads(text)
        except ValueError:
            continue
        if not isinstance(answer, dict):
            continue
        valid += 1
        expected = json.loads(row[-1]["content"])
        for key in right:
            right[key] += answer.get(key) == expected[key]
    shares = {key: count / len(rows) for key, count in right.items()}
    return Score(valid / len(rows), shares, texts[0])


def rate_factor(step: int, settings: Settings) -> float:
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    return max(0.0, (settings.steps - step) / (settings.steps - settings.warmup))


def evaluate(starter: str, settings: Settings, model_path: Path) -> list[dict[str, Any]]:
    torch.manual_seed(settings.seed)
    tokenizer: Any = AutoTokenizer.from_pretrained(model_path)
    base: Any = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
    model: PeftModel = get_peft_model(
        base,
        LoraConfig(
            r=settings.r, lora_alpha=settings.alpha, lora_dropout=0.0,
            target_modules="all-linear", task_type="CAUSAL_LM",
        ),
    )  # fmt: skip
    folder = STARTERS / starter / "data"
    train = [encode(tokenizer, row) for row in read_rows(folder / "train.jsonl")]
    heldout = read_rows(folder / "heldout.jsonl")[: settings.heldout]
    pad = tokenizer.pad_token_id
    exam = collate([encode(tokenizer, row) for row in heldout], pad)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=settings.rate, weight_decay=0.0
    )
    order: list[int] = []
    rng = Random(settings.seed)
    trained = 0.0
    table = []
    for step in range(settings.steps + 1):
        if step in MEASURED_STEPS or step == settings.steps:
            model.eval()
            with torch.no_grad():
                loss = float(answer_loss(model, exam))
            greedy = score(starter, heldout, answers(model, tokenizer, heldout, 0.0))
            torch.manual_seed(settings.seed)
            sampled = score(starter, heldout, answers(model, tokenizer, heldout, 0.7))
            row = {
                "starter": starter, "step": step, "evalLoss": loss, "greedy": greedy,
                "sampled": sampled, "speed": step / trained if trained else math.nan,
            }  # fmt: skip
            table.append(row)
            print_row(row)
            model.train()
        if step == settings.steps:
            break
        began = time.monotonic()
        if len(order) < settings.batch:
            order += rng.sample(range(len(train)), len(train))
        chosen, order = order[: settings.batch], order[settings.batch :]
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * rate_factor(step, settings)
        answer_loss(model, collate([train[i] for i in chosen], pad)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        trained += time.monotonic() - began
    return table


def print_row(row: dict[str, Any]) -> None:
    greedy, sampled = row["greedy"], row["sampled"]
    fields = "  ".join(
        f"{key} {share:.2f}/{sampled.fields[key]:.2f}" for key, share in greedy.fields.items()
    )
    print(
        f"{row['starter']:<9} step {row['step']:>3}  evalLoss {row['evalLoss']:.4f}  "
        f"valid {greedy.valid:.2f}/{sampled.valid:.2f}  {fields}  "
        f"steps/s {row['speed']:.1f}\n          {greedy.sample}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="shares are greedy/sampled at temperature 0.7")
    parser.add_argument("starters", nargs="*", default=list(KEY_SETS))
    parser.add_argument("--rate", type=float, default=Settings.rate)
    parser.add_argument("--alpha", type=int, default=Settings.alpha)
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", type=Path, default=MODEL)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    settings = Settings(rate=args.rate, alpha=args.alpha, steps=args.steps, seed=args.seed)
    for starter in args.starters:
        evaluate(starter, settings, args.model)


if __name__ == "__main__":
    main()
