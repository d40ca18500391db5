"""The base models that exist here, by the names that clients use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from arkor_tui.text.sanitize import plain

from .spec import TrainingSpec

TINY = "arkor-tui/tiny"
_HUB_SECONDS = 4.0
_LENGTH_WITHOUT_CONFIG = 4096


class UnknownModelError(ValueError):
    """No such model; the text names those that exist and what to do."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """``source`` is what the engine loads; ``max_length`` is tokens.

    ``learning_rate`` is the default for LoRA on it: a very small model needs a far larger one.
    """

    source: str
    max_length: int
    learning_rate: float = 2e-4


def tiny_folder() -> Path:
    """Where the model that ships with the package lies."""
    return Path(str(files("arkor_tui.backend"))) / "tiny"


@dataclass(frozen=True, slots=True)
class ModelRegistry:
    """Finds models. ``aliases`` are the user's own: no name is ever mapped silently."""

    aliases: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Names that need nothing but this machine."""
        return [TINY, *self.aliases]

    def find(self, name: str) -> BaseModel:
        """The model called ``name``: ours, an alias, a folder, a GGUF file or a hub id.

        Blocking: may ask the hub for some seconds.

        Raises:
            UnknownModelError: there is none.
        """
        target = self.aliases.get(name, name)
        if target == TINY:
            return BaseModel(str(tiny_folder()), _max_length(tiny_folder()), 1e-2)
        if target.startswith("/"):
            return _on_disk(Path(target))
        return self._on_hub(target)

    def source_of(self, spec: TrainingSpec) -> str:
        """Find the base of a stored job, whose folder may be of an installation that is gone.

        Blocking: may ask the hub for some seconds.

        Raises:
            UnknownModelError: it is neither where it was nor to be found by its name.
        """
        source = spec.model_source
        if not source.startswith("/") or Path(source).exists():
            return source
        return self.find(spec.model).source

    def _on_hub(self, name: str) -> BaseModel:
        shown = plain(name, limit=200, newlines=False)
        reason = _why_not_on_hub(name)
        if reason is None:
            return BaseModel(name, _LENGTH_WITHOUT_CONFIG)
        raise UnknownModelError(
            f"{shown!r} does not exist here ({reason}). Models that exist: "
            f"{', '.join(self.names())}, and any model folder or .gguf file by its absolute path. "
            f"To answer for this name with one of them, start the backend yourself: "
            f"arkor-tui serve --map-model '{shown}={TINY}'"
        )


def _on_disk(path: Path) -> BaseModel:
    shown = plain(str(path), limit=300, newlines=False)
    try:
        return _looked_at(path, shown)
    except OSError as error:  # too long, no permission
        raise UnknownModelError(f"{shown} cannot be read ({error.strerror})") from error


def _looked_at(path: Path, shown: str) -> BaseModel:
    if path.suffix == ".gguf":
        if not path.is_file():
            raise UnknownModelError(f"there is no file {shown}")
        return BaseModel(str(path), _LENGTH_WITHOUT_CONFIG)
    if not path.is_dir():
        raise UnknownModelError(f"there is no model folder {shown}")
    if not (path / "config.json").is_file():
        raise UnknownModelError(f"{shown} is no model folder: it has no config.json")
    if not any(path.glob("*.safetensors")):
        raise UnknownModelError(
            f"{shown} has no .safetensors weights; other weight files can run code and are not read"
        )
    return BaseModel(str(path), _max_length(path))


def _max_length(folder: Path) -> int:
    try:
        config: Any = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        value = config["max_position_embeddings"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _LENGTH_WITHOUT_CONFIG
    return value if isinstance(value, int) and value >= 8 else _LENGTH_WITHOUT_CONFIG


def _why_not_on_hub(name: str) -> str | None:
    """None if the hub, or its cache on this machine, has a model of that name."""
    try:
        from huggingface_hub import HfApi, try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ModuleNotFoundError:
        return "the hub's client is not installed"
    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return None
        HfApi().model_info(name, timeout=_HUB_SECONDS)
    except HFValidationError:
        return "it is no hub id either"
    except Exception as error:
        # the client raises whatever its transport raises
        return f"the Hugging Face hub said: {type(error).__name__}"
    return None
