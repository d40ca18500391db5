"""A small model with random weights, made from nothing in a second, and helpers around it."""

from __future__ import annotations

import functools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.backend.spec import DatasetSpec, Every, TrainingSpec
from tests.support.amounts import patience
from tests.support.kept_engine import command_of

TEMPLATE = (
    "{%- for m in messages -%}"
    "{%- if m.role not in ['system', 'user', 'assistant', 'tool'] -%}"
    "{{- raise_exception('Unknown role: ' ~ m.role) -}}{%- endif -%}"
    "<|{{ m.role }}|>{{ m.content or '' }}<|end|>{{ '\\n' if newline else '' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
SPECIALS = ["<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"]
_TEXT = """The cat sat on the mat. {"category":"auth","urgency":"high"} I cannot log in, please!
Send the customer a reset link; the invoice number is 4711. naïve café 日本語 😀 true false null
Order [1, 2, 3] was shipped on Monday. What is the weather in Oslo? It rains. answer question """


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with seeded random weights and a byte-level tokenizer."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # for so small a model, handing work to a second one takes longer
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model") / "random"
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator([_TEXT], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        extra_special_tokens=SPECIALS[1:5],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        config = LlamaConfig(
            vocab_size=416,  # more than the tokenizer has, as padded matrices do
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.2,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=SPECIALS.index("<|end|>"),
            pad_token_id=0,
        )
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer(model_folder: Path) -> Any:
    """The tokenizer of the random model."""
    from arkor_tui.backend.engine.modeling import load_tokenizer

    return load_tokenizer(str(model_folder))


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows (objects, or raw bytes for a line) to a JSON Lines file."""

    def write(*rows: Any, name: str = "rows.jsonl", end: bytes = b"\n") -> Path:
        path = tmp_path / name
        lines = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows]
        path.write_bytes(end.join([*lines, b""]))
        return path

    return write


def chat_row(question: str, answer: str) -> dict[str, Any]:
    """A chatml row of one exchange."""
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }


def many_rows(count: int) -> list[dict[str, Any]]:
    """Rows of different lengths."""
    return [chat_row(f"question {i} " * (1 + i % 3), f"answer {i * 7 % 11}") for i in range(count)]


@pytest.fixture
def make_spec(model_folder: Path, write_rows: Callable[..., Path]) -> Callable[..., TrainingSpec]:
    """A short training run over 20 rows; keyword arguments change it."""

    def make(
        *, rows: list[Any] | None = None, held_out: float = 0.0, **changes: Any
    ) -> TrainingSpec:
        path = write_rows(*(many_rows(20) if rows is None else rows), name="train.jsonl")
        spec = TrainingSpec(
            name="test",
            model="test/random",
            model_source=str(model_folder),
            dataset=DatasetSpec("file", str(path), held_out=held_out),
            lora_r=4,
            lora_alpha=8.0,
            max_length=64,
            max_steps=6,
            learning_rate=1e-2,
            batch_size=4,
            log_every=Every(steps=1),
        )
        return replace(spec, **changes)

    return make


class Child:
    """A child process of the engine, spoken to in its protocol."""

    def __init__(
        self, module: str, *, script: str | None = None, kept_engine: str | None = None
    ) -> None:
        command = [sys.executable, "-c", script] if script else [sys.executable, "-m", module]
        if kept_engine is not None:
            command = command_of(kept_engine, module.rpartition(".")[2])
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.errors: list[bytes] = []
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.messages.put(json.loads(line))
        self.messages.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)

    def send(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def next(self, timeout: float = 60) -> dict[str, Any] | None:
        return self.messages.get(timeout=patience(timeout))

    def until(self, *kinds: str) -> list[dict[str, Any]]:
        """All messages up to the first one of ``kinds``."""
        found = []
        while True:
            message = self.next()
            assert message is not None, b"".join(self.errors).decode()
            found.append(message)
            if message["type"] in kinds:
                return found

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Starts children and ends them after the test."""
    started: list[Child] = []

    def start(module: str, **options: Any) -> Child:
        started.append(Child(module, **options))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture
def forked(child: Callable[..., Child], kept_engine: str | None) -> Callable[..., Child]:
    """The same, but they do not import the libraries first."""
    return functools.partial(child, kept_engine=kept_engine)
