"""Checks ``POST /v1/jobs`` field by field (protocol reference, section 4).

Every setting does what it says or is refused by name; all wrong fields are told at once.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from arkor_tui.config.local_backend import is_loopback_url
from arkor_tui.datasets.formats import FORMATS, FormatType
from arkor_tui.text.redact import redact_config
from arkor_tui.text.sanitize import plain

from .models import ModelRegistry, UnknownModelError
from .spec import (
    OPTIMIZERS,
    SCHEDULERS,
    DatasetSpec,
    Every,
    Optimizer,
    Scheduler,
    TrainingSpec,
    sendable_token,
)

_NAME_LIMIT = 200  # characters
_COLUMNS = {
    "text": {"text"},
    "sharegpt": {"conversations"},
    "alpaca": {"instruction", "input", "output"},
    "prompt_completion": {"prompt", "completion"},
    "chatml": {"messages"},
}
_OPTIMIZER_ALIASES = {"adamw": "adamw_torch"}
_EVERY_STEP = Every(steps=1)

_NO_FORMAT: tuple[str | None, dict[str, str]] = (None, {})

T = TypeVar("T")


class InvalidConfigError(ValueError):
    """``fields`` maps each wrong field's path to what is wrong with it."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)
        super().__init__("; ".join(f"{name} {text}" for name, text in self.fields.items()))


class _Wrong(ValueError):  # noqa: N818 the text is completed by the field's name
    """What is wrong with one value, or with its ``part``."""

    def __init__(self, text: str, *, part: str = "") -> None:
        self.part = part
        super().__init__(text)


class _Fields:
    """Takes values out of a request's object and collects what is wrong with them."""

    def __init__(self, values: Mapping[str, Any], prefix: str, wrong: dict[str, str]) -> None:
        self._values = dict(values)
        self._prefix = prefix
        self._wrong = wrong

    def take(self, name: str, check: Callable[[Any], T], default: T) -> T:
        value = self._values.pop(name, None)
        if value is None:
            return default
        try:
            return check(value)
        except _Wrong as error:
            self.refuse(f"{name}.{error.part}" if error.part else name, str(error))
            return default

    def refuse(self, name: str, text: str) -> None:
        self._wrong[self._prefix + name] = text

    def refuse_the_rest(self) -> None:
        for name in self._values:
            self.refuse(plain(name, limit=80, newlines=False), "is not a field of this backend")


def check_job(
    body: Any,
    models: ModelRegistry,
    datasets: Mapping[str, Path],
    *,
    may_name_files: bool = True,
) -> tuple[str, dict[str, Any], TrainingSpec]:
    """The job's name, its configuration as it may be shown, and the checked settings.

    ``datasets`` maps hub names to files. Without ``may_name_files`` neither dataset nor model may
    be a path: whoever asks would read this user's files. Blocking: looks at files, and may ask the
    hub.

    Raises:
        InvalidConfigError: with every wrong field.
    """
    if not isinstance(body, dict):
        raise InvalidConfigError({"body": "must be a JSON object with name and config"})
    wrong: dict[str, str] = {}
    name = body.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > _NAME_LIMIT:
        wrong["name"] = f"must be a text of 1 to {_NAME_LIMIT} characters"
    config = body.get("config")
    if not isinstance(config, dict):
        wrong["config"] = "must be an object"
        raise InvalidConfigError(wrong)
    if not may_name_files:
        _refuse_paths(config, wrong)
        if wrong:
            raise InvalidConfigError(wrong)
    spec = _check_config(str(name), config, models, datasets, wrong)
    if wrong:
        raise InvalidConfigError(wrong)
    return str(name), redact_config(config), spec


def _refuse_paths(config: dict[str, Any], wrong: dict[str, str]) -> None:
    """What only the owner of this backend may say; others get what it maps for them."""
    model, source = config.get("model"), config.get("datasetSource")
    text = "is a path, which an anonymous identity may not name; see serve --map-"
    if isinstance(model, str) and model.startswith("/"):
        wrong["config.model"] = f"{text}model"
    if isinstance(source, dict) and source.get("type") == "file":
        wrong["config.datasetSource"] = f"{text}dataset"


def _check_config(
    name: str,
    config: dict[str, Any],
    models: ModelRegistry,
    datasets: Mapping[str, Path],
    wrong: dict[str, str],
) -> TrainingSpec:
    fields = _Fields(config, "config.", wrong)
    for required in ("model", "datasetSource"):
        if config.get(required) is None:
            fields.refuse(required, "is required")
    model = fields.take("model", _text, "")
    source, limit, default_rate = model, 512, 2e-4
    if model:
        try:
            found = models.find(model)
            source, limit, default_rate = found.source, found.max_length, found.learning_rate
        except UnknownModelError as error:
            fields.refuse("model", str(error))
    dataset = fields.take(
        "datasetSource", lambda value: _dataset(value, datasets), DatasetSpec("file", "")
    )
    kind, mapping = fields.take("datasetFormat", _format, _NO_FORMAT)
    held_out, split_seed = fields.take("datasetSplit", _split, (0.0, 42))
    fields.take("loadIn4bit", _four_bit, False)
    fields.take("gpuTypes", _gpu_types, None)
    max_steps = fields.take("maxSteps", _whole(1, 1_000_000), None)
    spec = TrainingSpec(
        name=name,
        model=model,
        model_source=source,
        dataset=DatasetSpec(
            kind=dataset.kind,
            location=dataset.location,
            split=dataset.split,
            subset=dataset.subset,
            token=dataset.token,
            format=cast("FormatType | None", kind),
            column_mapping=mapping,
            held_out=held_out,
            split_seed=split_seed,
        ),
        lora_r=fields.take("loraR", _whole(1, 512), 16),
        lora_alpha=fields.take("loraAlpha", _number(0, 4096, above=True), 16.0),
        max_length=fields.take("maxLength", _whole(8, limit), min(limit, 512)),
        max_steps=max_steps,
        epochs=fields.take("numTrainEpochs", _number(0, 10_000, above=True), 1.0),
        learning_rate=fields.take("learningRate", _number(0, 1e6, above=True), default_rate),
        batch_size=fields.take("batchSize", _whole(1, 1024), 8),
        weight_decay=fields.take("weightDecay", _number(0, 10), 0.0),
        optimizer=cast("Optimizer", fields.take("optim", _optimizer, "adamw_torch")),
        scheduler=cast("Scheduler", fields.take("lrSchedulerType", _one_of(SCHEDULERS), "linear")),
        warmup=fields.take("warmupSteps", _every(zero_ratio=True), Every(steps=0)),
        log_every=fields.take("loggingSteps", _every(), _EVERY_STEP),
        save_every=fields.take("saveSteps", _every(), Every(steps=0)),
        eval_every=fields.take("evalSteps", _every(), Every(steps=0)),
        responses_only=fields.take("trainOnResponsesOnly", _enabled, False),
        dry_run=fields.take("dryRun", _boolean, False),
        seed=fields.take("seed", _seed, 42),
    )
    fields.refuse_the_rest()
    return spec


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Wrong("must be a non-empty text")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("must be true or false")
    return value


def _enabled(value: Any) -> bool:
    if isinstance(value, dict) and set(value) == {"enabled"}:
        value = value["enabled"]
    if not isinstance(value, bool):
        raise _Wrong('must be true, false or {"enabled": …}')
    return value


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong("must be a finite number")
    try:
        number = float(value)
    except OverflowError:  # JSON knows no largest number
        number = math.inf
    if not math.isfinite(number):
        raise _Wrong("must be a finite number")
    return number


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        number = _finite(value)
        if number != int(number) or not low <= number <= high:
            raise _Wrong(f"must be a whole number from {low} to {high}")
        return int(number)

    return check


_seed = _whole(0, 2**32 - 1)


def _number(low: float, high: float, *, above: bool = False) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        number = _finite(value)
        if number > high or number < low or (above and number == low):
            raise _Wrong(f"must be {'above' if above else 'at least'} {low:g}, at most {high:g}")
        return number

    return check


def _one_of(names: tuple[str, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise _Wrong(f"must be one of {', '.join(names)}")
        return value

    return check


def _optimizer(value: Any) -> str:
    if value == "adamw_8bit":
        raise _Wrong(
            f"adamw_8bit needs a GPU library that is not here; use one of {', '.join(OPTIMIZERS)}"
        )
    name = _one_of(OPTIMIZERS)(value)
    return _OPTIMIZER_ALIASES.get(name, name)


def _every(*, zero_ratio: bool = False) -> Callable[[Any], Every]:
    def check(value: Any) -> Every:
        if isinstance(value, dict):
            if len(value) != 1 or next(iter(value)) not in ("steps", "ratio"):
                raise _Wrong("must have exactly one of steps and ratio")
            if "ratio" in value:
                ratio = _finite(value["ratio"])
                if not (0 < ratio < 1 or (zero_ratio and ratio == 0)):
                    raise _Wrong("ratio must be between 0 and 1")
                return Every(ratio=ratio)
            value = value["steps"]
        return Every(steps=_whole(0, 1_000_000)(value))

    return check


def _four_bit(value: Any) -> bool:
    if _boolean(value):
        raise _Wrong(
            "cannot be true here: 4-bit weights need a CUDA GPU, and this backend trains on the CPU"
        )
    return False


def _gpu_types(value: Any) -> None:
    raise _Wrong("cannot be chosen here: this backend trains on this machine")


def _format(value: Any) -> tuple[str | None, dict[str, str]]:
    mapping: Any = None
    if isinstance(value, dict):
        unknown = set(value) - {"type", "columnMapping"}
        if unknown:
            raise _Wrong(f"has unknown parts: {', '.join(sorted(map(str, unknown)))}")
        mapping = value.get("columnMapping")
        value = value.get("type")
    kind = _one_of(FORMATS)(value)
    if mapping is None:
        return kind, {}
    if not isinstance(mapping, dict) or not all(isinstance(v, str) for v in mapping.values()):
        raise _Wrong("columnMapping must map column names to column names")
    unknown = set(mapping) - _COLUMNS[kind]
    if unknown:
        raise _Wrong(
            f"columnMapping of {kind} knows {', '.join(sorted(_COLUMNS[kind]))}, "
            f"not {', '.join(sorted(unknown))}"
        )
    return kind, dict(mapping)


def _split(value: Any) -> tuple[float, int]:
    if not isinstance(value, dict) or set(value) - {"enabled", "testSize", "seed"}:
        raise _Wrong("must be an object with enabled, testSize and seed")
    enabled = _boolean(value.get("enabled", False))
    size = 0.1 if value.get("testSize") is None else _finite(value["testSize"])
    if size <= 0 or (size >= 1 and size != int(size)):
        raise _Wrong("testSize must be a share below 1 or a whole number of rows")
    try:
        seed = 42 if value.get("seed") is None else _seed(value["seed"])
    except _Wrong as error:
        raise _Wrong(str(error), part="seed") from None
    return (size if enabled else 0.0), seed


def _dataset(value: Any, datasets: Mapping[str, Path]) -> DatasetSpec:
    if not isinstance(value, dict):
        raise _Wrong("must be an object")
    known = {
        "huggingface": {"type", "name", "split", "subset"},
        "blob": {"type", "url", "token"},
        "file": {"type", "path"},
    }
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in known:
        raise _Wrong(f"type must be one of {', '.join(known)}")
    unknown = {name for name, part in value.items() if part is not None} - known[kind]
    if unknown:
        raise _Wrong(f"of type {kind} has unknown parts: {', '.join(sorted(unknown))}")
    for name, part in value.items():
        if part is not None and not isinstance(part, str):
            raise _Wrong(f"{name} must be a text")
    if kind == "file":
        return DatasetSpec("file", str(_readable_file(_text(value.get("path")))))
    if kind == "blob":
        return _blob(_text(value.get("url")), value.get("token"))
    name = _text(value.get("name"))
    if name in datasets:
        return DatasetSpec("file", str(_readable_file(str(datasets[name]))))
    return DatasetSpec("huggingface", name, split=value.get("split"), subset=value.get("subset"))


def _readable_file(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise _Wrong(f"path must be absolute, not {plain(text, limit=200, newlines=False)}")
    shown = plain(str(path), limit=300, newlines=False)
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise _Wrong(f"names a file that does not exist: {shown}") from None
    except (OSError, ValueError) as error:  # too long, no permission, a NUL
        reason = getattr(error, "strerror", None) or "it is no path"
        raise _Wrong(f"names a file that cannot be read ({reason}): {shown}") from None
    if not stat.S_ISREG(facts.st_mode):
        raise _Wrong(f"names something that is not a regular file: {shown}")
    if not os.access(path, os.R_OK):
        raise _Wrong(f"names a file that cannot be read: {shown}")
    return path


def _blob(url: str, token: str | None) -> DatasetSpec:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host, parts = None, None
    if parts is None or not host or parts.scheme not in ("http", "https"):
        raise _Wrong("url must be an https address")
    if parts.scheme == "http" and not is_loopback_url(url):
        what = "a token is never sent" if token else "data is never fetched"
        raise _Wrong(f"url must be https: {what} over plain http")
    if token and not sendable_token(token):
        raise _Wrong("token must be printable ASCII without blanks")
    return DatasetSpec("blob", url, token=token)
