"""Write the model folder that ships inside the wheel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from scripts.tiny import tokenizer as tok

HERE = Path(__file__).parent
# What a library writes about the machine or about itself, and a reader does not need.
NOISE = ("_name_or_path", "name_or_path", "transformers_version", "local_files_only", "is_local")


def _rewrite(path: Path, drop: tuple[str, ...]) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in data.items() if key not in drop}
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def export(
    model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path, facts: dict[str, Any]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=tok.SPECIAL[tok.PAD],
        eos_token=tok.SPECIAL[tok.END],
        additional_special_tokens=[tok.SPECIAL[i] for i in tok.ROLE_IDS.values()],
        model_max_length=512,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    fast.save_pretrained(folder)
    GenerationConfig(eos_token_id=tok.END, pad_token_id=tok.PAD).save_pretrained(folder)
    template = (HERE / "chat_template.jinja").read_text(encoding="utf-8").rstrip("\n")
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        _rewrite(folder / name, NOISE)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    (folder / "model.safetensors").chmod(0o644)
    card = (HERE / "model_card.md").read_text(encoding="utf-8")
    for key, value in facts.items():
        shown = f"{value:,}" if key == "parameters" else str(value)
        card = card.replace("{" + key + "}", shown)
    (folder / "README.md").write_text(card, encoding="utf-8")
    (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
