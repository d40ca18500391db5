"""Tokens, masks, truncation and the held-out split."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_tui.backend.engine.encode import IGNORED, Encoded, Encoder, encode_all, split_held_out
from arkor_tui.backend.engine.errors import DatasetError, EngineError
from arkor_tui.datasets.formats import Example

pytestmark = pytest.mark.engine


def example(*turns: tuple[str, str], line: int = 1) -> Example:
    return Example(line, messages=tuple({"role": r, "content": c} for r, c in turns))


def encode(tokenizer: Any, one: Example, *, length: int = 64, answers: bool = True) -> Encoded:
    return encode_all([one], tokenizer, max_length=length, responses_only=answers)[0]


def trained(tokenizer: Any, encoded: Encoded) -> str:
    return str(tokenizer.decode([label for label in encoded.labels if label != IGNORED]))


def test_only_answers_with_their_end_are_trained(tokenizer: Any) -> None:
    ids = tokenizer("<|system|>s<|end|><|user|>hi<|end|><|assistant|>the cat<|end|>")["input_ids"]
    answer = tokenizer("the cat<|end|>")["input_ids"]
    encoded = encode(tokenizer, example(("system", "s"), ("user", "hi"), ("assistant", "the cat")))
    assert list(encoded.ids) == ids
    assert list(encoded.labels) == [IGNORED] * (len(ids) - len(answer)) + answer
    assert encoded.targets == len(answer)


def test_every_answer_of_a_conversation_is_trained(tokenizer: Any) -> None:
    turns = [("user", "a"), ("assistant", " one "), ("user", "b"), ("assistant", "two\n")]
    encoded = encode(tokenizer, example(*turns))
    assert trained(tokenizer, encoded) == " one <|end|>two\n<|end|>"


def test_what_follows_the_last_answer_is_left_out(tokenizer: Any) -> None:
    encoded = encode(tokenizer, example(("user", "a"), ("assistant", "b"), ("user", "c")))
    assert tokenizer.decode(encoded.ids) == "<|user|>a<|end|><|assistant|>b<|end|>"


def test_an_empty_answer_still_teaches_its_end(tokenizer: Any) -> None:
    encoded = encode(tokenizer, example(("user", "a"), ("assistant", "")))
    assert trained(tokenizer, encoded) == "<|end|>"


def test_multibyte_answers_are_trained_whole(tokenizer: Any) -> None:
    encoded = encode(tokenizer, example(("user", "日本"), ("assistant", "語😀é")))
    assert trained(tokenizer, encoded) == "語😀é<|end|>"


def test_newline_after_the_end_token_is_not_trained(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tokenizer.chat_template.replace("if newline", "if true")
    monkeypatch.setattr(tokenizer, "chat_template", changed)
    encoded = encode(tokenizer, example(("user", "a"), ("assistant", "b")))
    assert tokenizer.decode(encoded.ids).endswith("b<|end|>\n")
    assert trained(tokenizer, encoded) == "b<|end|>"


def test_without_the_switch_everything_is_trained(tokenizer: Any) -> None:
    encoded = encode(tokenizer, example(("user", "a"), ("assistant", "b")), answers=False)
    assert encoded.labels == encoded.ids


def test_plain_text_ends_with_the_end_token(tokenizer: Any) -> None:
    encoded = encode(tokenizer, Example(1, text="the cat"), answers=False)
    assert tokenizer.decode(encoded.ids) == "the cat<|end|>"
    assert encoded.labels == encoded.ids
    with pytest.raises(EngineError, match="trainOnResponsesOnly"):
        encode(tokenizer, Example(1, text="the cat"))


def test_truncation_keeps_the_beginning(tokenizer: Any) -> None:
    whole = encode(tokenizer, example(("user", "a"), ("assistant", "x" * 30)))
    cut = encode(tokenizer, example(("user", "a"), ("assistant", "x" * 30)), length=10)
    assert (whole.cut, cut.cut) == (False, True)
    assert cut.ids == whole.ids[:10]
    assert cut.labels == whole.labels[:10]


def test_rows_with_nothing_to_train_on_are_named(tokenizer: Any) -> None:
    rows = [
        example(("user", "x" * 100), ("assistant", "y"), line=3),
        example(("user", "a"), ("assistant", "b"), line=4),
        example(("user", "a"), line=9),
    ]
    with pytest.raises(DatasetError) as caught:
        encode_all(rows, tokenizer, max_length=20, responses_only=True)
    text = str(caught.value)
    assert text.startswith("2 rows cannot be trained on")
    assert "line 3: nothing to train on is left within maxLength 20 (the row has 1" in text
    assert "line 9: it has no assistant message" in text
    assert "line 4" not in text


def test_a_conversation_that_the_template_refuses(tokenizer: Any) -> None:
    with pytest.raises(DatasetError, match="line 1: the model's chat template refuses it: Unknown"):
        encode(tokenizer, example(("developer", "a"), ("assistant", "b")))


def test_a_model_without_chat_template(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", None)
    with pytest.raises(EngineError, match="no chat template"):
        encode(tokenizer, example(("user", "a"), ("assistant", "b")))


def test_rows_longer_than_the_model_takes(tokenizer: Any) -> None:
    rows = [example(("user", "a"), ("assistant", "x" * 50), line=7)]
    with pytest.raises(EngineError, match="line 7") as caught:
        encode_all(rows, tokenizer, max_length=999, responses_only=True, positions=16)
    assert "maxLength to 16" in (caught.value.hint or "")


def test_a_template_that_rewrites_history(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = "{{ messages | length }}" + tokenizer.chat_template
    monkeypatch.setattr(tokenizer, "chat_template", changed)
    encoder = Encoder(tokenizer, max_length=64, responses_only=True)
    with pytest.raises(EngineError, match="changes earlier messages"):
        encoder.encode(
            example(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
        )


def rows(count: int) -> list[Encoded]:
    return [Encoded(i, (i, i), (i, i)) for i in range(count)]


def test_split_is_by_seed_and_keeps_the_order() -> None:
    first = split_held_out(rows(100), 0.1, 42)
    assert first == split_held_out(rows(100), 0.1, 42)
    assert first != split_held_out(rows(100), 0.1, 43)
    train, held_out = first
    assert (len(train), len(held_out)) == (90, 10)
    for part in first:
        assert [r.line for r in part] == sorted(r.line for r in part)
    assert sorted(r.line for r in train + held_out) == list(range(100))


@pytest.mark.parametrize(
    ("count", "held_out", "expected"),
    [(2, 0.01, 1), (2, 0.99, 1), (3, 2, 2), (10, 0.25, 2), (10, 0, 0), (10, 9, 9)],
)
def test_split_sizes(count: int, held_out: float, expected: int) -> None:
    train, kept = split_held_out(rows(count), held_out, 1)
    assert (len(train), len(kept)) == (count - expected, expected)


@pytest.mark.parametrize(("count", "held_out"), [(1, 0.5), (5, 5), (5, 6)])
def test_too_few_rows_to_split(count: int, held_out: float) -> None:
    with pytest.raises(DatasetError):
        split_held_out(rows(count), held_out, 1)
