"""Examples to token ids and loss masks, and the held-out split."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from arkor_tui.datasets.formats import Example
from arkor_tui.text.sanitize import plain

from .errors import DatasetError, EngineError

_SHOWN = 5
IGNORED = -100
"""The label of a token that is not trained on."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example for the model.

    ``ids`` and ``labels`` have the same length; ``labels`` is the id, or :data:`IGNORED` where the
    token is context only. ``line`` is the row it came from; ``cut`` tells that it was truncated.
    """

    line: int
    ids: tuple[int, ...]
    labels: tuple[int, ...]
    cut: bool = False

    @property
    def targets(self) -> int:
        """Number of predicted tokens: the first token of a sequence is never predicted."""
        return sum(label != IGNORED for label in self.labels[1:])


class UnusableRowError(ValueError):
    """A conversation that cannot be rendered, or adds nothing to the loss; the text says why."""


def encode_all(
    examples: Sequence[Example],
    tokenizer: Any,
    *,
    max_length: int,
    responses_only: bool,
    positions: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Encoded]:
    """Encode every example, cut at ``max_length`` tokens.

    ``responses_only`` trains on assistant answers with their end token, else everything counts.
    ``positions`` is the longest sequence that the model can take, if it has such a limit.
    ``stopped`` is asked now and then; if it says yes, what was done so far is returned.

    Raises:
        DatasetError: rows with nothing to train on or that the chat template refuses, by line.
        EngineError: the model has no chat template, or rows are longer than it can take.
    """
    encoder = Encoder(tokenizer, max_length=max_length, responses_only=responses_only)
    encoded: list[Encoded] = []
    problems: list[tuple[int, str]] = []
    for example in examples:
        if stopped():
            break
        try:
            encoded.append(encoder.encode(example))
        except UnusableRowError as error:
            problems.append((example.line, str(error)))
    if problems:
        shown = "; ".join(f"line {line}: {what}" for line, what in problems[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
        count = f"{len(problems):,} row{'s' if len(problems) > 1 else ''}"
        raise DatasetError(
            plain(f"{count} cannot be trained on: {shown}{more}.", limit=1500, newlines=False),
            hint="Correct or remove them, or raise maxLength if they were cut too short.",
        )
    if positions is not None:
        _check_positions(encoded, positions)
    return encoded


class Encoder:
    """Encodes single examples with one tokenizer."""

    def __init__(self, tokenizer: Any, *, max_length: int, responses_only: bool) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._responses_only = responses_only
        self._specials = tuple(s for s in getattr(tokenizer, "all_special_tokens", ()) if s)

    def encode(self, example: Example) -> Encoded:
        """Encode one example.

        Raises:
            UnusableRowError: there is nothing to train on, with the reason.
            EngineError: the model has no chat template, or none that answers can be found with.
        """
        if example.messages is None:
            ids, labels = self._plain_text(example.text or "")
        else:
            ids, labels = self._conversation(list(example.messages))
        cut = len(ids) > self._max_length
        encoded = Encoded(
            example.line,
            tuple(ids[: self._max_length]),
            tuple(labels[: self._max_length]),
            cut,
        )
        if not encoded.targets:
            if cut:
                reason = f"nothing to train on is left within maxLength {self._max_length}"
                raise UnusableRowError(f"{reason} (the row has {len(ids)} tokens)")
            raise UnusableRowError("it holds nothing to train on")
        return encoded

    def _plain_text(self, text: str) -> tuple[list[int], list[int]]:
        if self._responses_only:
            raise EngineError(
                "trainOnResponsesOnly needs conversations, but the dataset has plain text.",
                hint="Switch it off, or use a format with answers (chatml, for example).",
            )
        ids = list(self._tokenizer(text, add_special_tokens=True)["input_ids"])
        end = self._tokenizer.eos_token_id
        if end is not None and (not ids or ids[-1] != end):
            ids.append(end)
        return ids, list(ids)

    def _conversation(self, messages: list[dict[str, Any]]) -> tuple[list[int], list[int]]:
        if self._responses_only and messages[-1].get("role") != "assistant":
            answers = [i for i, m in enumerate(messages) if m.get("role") == "assistant"]
            if not answers:
                raise UnusableRowError("it has no assistant message, and only answers are trained")
            messages = messages[: answers[-1] + 1]  # nothing after the last answer is ever needed
        text = self._render(messages)
        if not self._responses_only:
            ids = list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
            return ids, list(ids)
        coded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = list(coded["input_ids"]), coded["offset_mapping"]
        labels = [IGNORED] * len(ids)
        for start, end in self._answers(messages, text):
            inside = _tokens_between(offsets, start, end)
            labels[inside.start : inside.stop] = ids[inside.start : inside.stop]
        return ids, labels

    def _answers(self, messages: list[dict[str, Any]], text: str) -> list[tuple[int, int]]:
        """Where in ``text`` each assistant answer stands, with its end token (character span)."""
        spans = []
        for index, message in enumerate(messages):
            if message.get("role") != "assistant":
                continue
            before = self._render(messages[:index], prompt=True)
            upto = self._render(messages[: index + 1])
            if not text.startswith(before) or not text.startswith(upto) or len(upto) < len(before):
                raise EngineError(
                    "This model's chat template changes earlier messages when later ones follow, "
                    "so the answers cannot be told apart from the rest.",
                    hint="Switch trainOnResponsesOnly off, or train on one answer per row.",
                )
            answer = upto[len(before) :]
            # many templates put a newline after the end token, which no model has to learn
            bare = answer.rstrip()
            end = len(bare) if bare.endswith(self._specials) else len(answer)
            spans.append((len(before), len(before) + end))
        return spans

    def _render(self, messages: list[dict[str, Any]], *, prompt: bool = False) -> str:
        return render(self._tokenizer, messages, prompt=prompt)


def render(
    tokenizer: Any,
    messages: list[dict[str, Any]],
    *,
    prompt: bool,
    tools: list[dict[str, Any]] | None = None,
) -> str:
    """The conversation as text; with ``prompt``, the next answer is opened.

    Raises:
        EngineError: the model has no chat template.
        UnusableRowError: the template refuses the conversation, with its reason.
    """
    if not tokenizer.chat_template:
        raise EngineError(
            "The model has no chat template, so it cannot be used for conversations.",
            hint="Use an instruction-tuned model, or train on the format text.",
        )
    extra = {"tools": tools} if tools else {}
    try:
        text: str = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=prompt, **extra
        )
    except Exception as error:  # templates are programs: they raise what they like
        reason = plain(str(error) or type(error).__name__, limit=200, newlines=False)
        raise UnusableRowError(f"the model's chat template refuses it: {reason}") from error
    return text


def _tokens_between(offsets: Sequence[tuple[int, int]], start: int, end: int) -> range:
    """Indices of the tokens that overlap the characters ``start`` to ``end``.

    Tokens of no width inside (trimmed white space) belong to it too, so the range is taken whole.
    """
    inside = [i for i, (a, b) in enumerate(offsets) if b > start and a < end and b > a]
    return range(inside[0], inside[-1] + 1) if inside else range(0)


def _check_positions(encoded: Sequence[Encoded], positions: int) -> None:
    long = [e for e in encoded if len(e.ids) > positions]
    if long:
        worst = max(long, key=lambda e: len(e.ids))
        raise EngineError(
            f"{len(long):,} rows are longer than the {positions:,} tokens that the model can take "
            f"(line {worst.line} has {len(worst.ids):,} or more).",
            hint=f"Set maxLength to {positions} or less to cut them.",
        )


def split_held_out(
    rows: Sequence[Encoded], held_out: float, seed: int
) -> tuple[list[Encoded], list[Encoded]]:
    """Training rows and held-out rows, each in the dataset's order.

    ``held_out`` below 1 is a share (rounded, at least one row on either side), else a count.

    Raises:
        DatasetError: there are too few rows to hold that many out.
    """
    if held_out <= 0:
        return list(rows), []
    total = len(rows)
    if total < 2:
        raise DatasetError(
            "The dataset has one row, so none can be held out for evaluation.",
            hint="Switch datasetSplit off, or add rows.",
        )
    count = int(held_out) if held_out >= 1 else min(max(round(total * held_out), 1), total - 1)
    if count >= total:
        raise DatasetError(
            f"datasetSplit holds {count:,} rows out, but the dataset has {total:,}.",
            hint="Hold fewer out: at least one row must be left to train on.",
        )
    chosen = set(random.Random(seed).sample(range(total), count))  # noqa: S311 - not a secret
    return (
        [row for i, row in enumerate(rows) if i not in chosen],
        [row for i, row in enumerate(rows) if i in chosen],
    )
