"""The tokenizer: byte-level BPE, digits one by one, five special tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from scripts.lexicon.formats import KEY_SETS, make_row
from scripts.lexicon.split import is_heldout
from scripts.tiny.corpus import Dialogue, dialogues

SPECIAL: tuple[str, ...] = ("<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
PAD, SYSTEM, USER, ASSISTANT, END = range(5)
ROLE_IDS: dict[str, int] = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
VOCABULARY = 2048


def _texts(seed: int, count: int) -> Iterator[str]:
    stream = dialogues(seed)
    for _ in range(count):
        yield from (turn.text for turn in next(stream))
    # The starters' own rows too, so that their field names are not cut into single letters.
    rng = Random(seed)
    for _ in range(count // 10):
        for starter in KEY_SETS:
            key, row = make_row(starter, rng)
            if not is_heldout(key):
                yield row["messages"][-1]["content"]


def train(seed: int, count: int = 30_000) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{Nd}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=16,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(seed, count), trainer)
    return tokenizer


def random_tokens(seed: int) -> list[int]:
    """A short run of any ordinary tokens."""
    rng = Random(seed)
    return [rng.randrange(len(SPECIAL), VOCABULARY) for _ in range(rng.randint(3, 20))]


class Encoder:
    """Turns dialogues into token ids and a weight for each id as a target."""

    def __init__(self, tokenizer: Tokenizer, prompt_weight: float) -> None:
        self._tokenizer = tokenizer
        self._prompt_weight = prompt_weight

    def __call__(self, dialogue: Dialogue) -> tuple[list[int], list[float]]:
        ids: list[int] = []
        weights: list[float] = []
        for turn in dialogue:
            body = self._tokenizer.encode(turn.text, add_special_tokens=False).ids
            if turn.token_seed is not None:
                body = body + random_tokens(turn.token_seed)
            answer = turn.role == "assistant"
            weight = 1.0 if answer else self._prompt_weight
            if turn.token_seed is not None and not answer:
                weight = 0.0  # nobody can guess random tokens
            ids += [ROLE_IDS[turn.role], *body, END]
            weights += [self._prompt_weight, *([weight] * len(body)), weight]
        return ids, weights


def save(tokenizer: Tokenizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
