"""The small model that ships in the wheel: its files, its vocabulary, its manners."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from scripts.tiny.corpus import Dialogue

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "arkor_tui" / "backend" / "tiny"
LIMIT = 7_000_000
ORDINARY = range(5, 2048)  # all but the five special tokens

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.AutoTokenizer.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def model() -> Any:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    return transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()


def corpus(count: int) -> list[Dialogue]:
    pytest.importorskip("tokenizers")
    from scripts.tiny.corpus import dialogues

    stream = dialogues(json.loads((MODEL / "training.json").read_text())["seed"])
    return [next(stream) for _ in range(count)]


def reply(model: Any, tokenizer: Any, user: str, system: str = "") -> str:
    messages = [{"role": "system", "content": system}] if system else []
    batch = tokenizer.apply_chat_template(
        [*messages, {"role": "user", "content": user}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    output = model.generate(**batch, max_new_tokens=60, do_sample=False)
    text = tokenizer.decode(output[0, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    assert isinstance(text, str)
    return text


def test_folder_is_small_and_complete() -> None:
    files = {path.name: path.stat().st_size for path in MODEL.iterdir() if path.is_file()}
    assert {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "generation_config.json", "chat_template.jinja", "README.md", "training.json",
    } <= set(files)  # fmt: skip
    assert sum(files.values()) <= LIMIT


def test_settings_tell_nothing_about_a_machine() -> None:
    for path in MODEL.glob("*.json"):
        if path.name == "tokenizer.json":
            continue  # a vocabulary contains slashes
        text = path.read_text(encoding="utf-8")
        assert "_name_or_path" not in text
        assert "/" not in text


def test_loads_with_the_stated_size(model: Any) -> None:
    facts = json.loads((MODEL / "training.json").read_text())
    count = sum(p.numel() for p in model.parameters())
    assert count == facts["parameters"]
    assert 2_000_000 <= count <= 3_500_000
    assert model.config.vocab_size == 2048


def test_every_token_was_a_target_in_pretraining() -> None:
    facts = json.loads((MODEL / "training.json").read_text())
    assert facts["neverTargets"] == []
    assert facts["rarestTargetCount"] >= 20


def test_the_start_of_the_corpus_already_covers_the_vocabulary() -> None:
    """Recomputed, not only recorded: token copying reaches every ordinary token."""
    from scripts.tiny.tokenizer import random_tokens

    seeds = [t.token_seed for d in corpus(40_000) for t in d if t.role == "assistant"]
    seen = {token for seed in seeds if seed is not None for token in random_tokens(seed)}
    assert seen == set(ORDINARY)


def test_no_embedding_was_left_as_it_was_born(model: Any) -> None:
    """An untrained row keeps its random direction; trained ones share a large common part."""
    weights = model.get_input_embeddings().weight.detach()[5:]
    norms = weights.norm(dim=1)
    assert float(norms.min()) > 0.2 * float(norms.median())
    assert float(norms.max()) < 5 * float(norms.median())


def test_corpus_never_shows_a_starters_format_or_heldout_sentence() -> None:
    from arkor_tui.starters import STARTERS, starter_files
    from scripts.lexicon.formats import FORBIDDEN

    heldout = set()
    for starter in STARTERS:
        data = starter_files(starter)["data/heldout.jsonl"].read_text(encoding="utf-8")
        heldout |= {json.loads(line)["messages"][1]["content"] for line in data.splitlines()}
    objects = 0
    for dialogue in corpus(20_000):
        for turn in dialogue:
            assert turn.text not in heldout
            if turn.role == "assistant" and turn.text.startswith("{"):
                objects += 1
                assert frozenset(json.loads(turn.text)) not in FORBIDDEN
    assert objects > 1000


def test_template_has_the_three_roles(tokenizer: Any) -> None:
    turns = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
    ]
    rendered = tokenizer.apply_chat_template(turns, tokenize=False)
    assert rendered == ("<|system|>Be short.<|end|><|user|>Hi<|end|><|assistant|>Hello<|end|>")
    opened = tokenizer.apply_chat_template(turns[:2], tokenize=False, add_generation_prompt=True)
    assert rendered.startswith(opened)
    assert opened.endswith("<|assistant|>")


def test_template_marks_what_the_assistant_said(tokenizer: Any) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    encoded = tokenizer.apply_chat_template(
        turns, return_dict=True, return_assistant_tokens_mask=True
    )
    marked = [
        token
        for token, mark in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)
        if mark
    ]
    assert tokenizer.decode(marked) == "Hello<|end|>"


def test_template_takes_text_parts_and_refuses_unknown_roles(tokenizer: Any) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert tokenizer.apply_chat_template(parts, tokenize=False) == "<|user|>Hi<|end|>"
    with pytest.raises(Exception, match="Unknown role"):
        tokenizer.apply_chat_template([{"role": "wizard", "content": "Hi"}], tokenize=False)


@pytest.mark.parametrize(
    "text", ["Zażółć gęślą jaźń", "忘れました。", "¿Qué?", "a\tb\n  c", "🙂", "4000 1234"]
)
def test_tokenizer_gives_back_any_text(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_digits_are_single_tokens(tokenizer: Any) -> None:
    assert len(tokenizer.encode("48213", add_special_tokens=False)) == 5


def test_greedy_text_is_reproducible(model: Any, tokenizer: Any) -> None:
    first, again = (reply(model, tokenizer, "Hello!") for _ in range(2))
    assert first == again
    assert first == "Hello! How can I help you?"


@pytest.mark.parametrize("starter", ["triage", "translate", "redaction"])
def test_base_answers_a_starter_in_prose(model: Any, tokenizer: Any, starter: str) -> None:
    from arkor_tui.starters import STARTERS

    info = STARTERS[starter]
    text = reply(model, tokenizer, info.example_prompt, info.system_prompt)
    assert len(text.split()) >= 3
    assert "{" not in text


def test_base_copies_a_name_and_writes_the_json_fields_asked_for(
    model: Any, tokenizer: Any
) -> None:
    assert reply(model, tokenizer, "Repeat: Anna Keller") == "Anna Keller"
    text = reply(model, tokenizer, "city: Lyon; size: 4", "Reply with JSON. Fields: city, size.")
    assert json.loads(text).keys() == {"city", "size"}
