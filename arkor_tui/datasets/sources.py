"""What a run trains on and starts from, as a user names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from arkor_tui.api.jobs import BlobSource, FileSource, HuggingFaceSource
from arkor_tui.errors import UsageError
from arkor_tui.text.redact import redact_url

SUPPORTED_MODELS: tuple[str, ...] = ("unsloth/gemma-4-E4B-it",)
"""Base models of Arkor's cloud (docs/protocol.md, section 4)."""

EMBEDDED_MODELS: tuple[str, ...] = ("arkor-tui/tiny",)
"""Base models that come with this package, for the embedded backend."""


class UnsupportedModelError(UsageError):
    """The model's name is none that a backend is known to have."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A base model that the embedded backend loads from this machine.

    ``location`` is a Hugging Face model folder, a ``.gguf`` file, or a hub id. A path is relative
    to the trainer file.
    """

    location: str | Path


@dataclass(frozen=True, slots=True)
class HuggingFaceDataset:
    """A dataset on the Hugging Face hub. Without a ``split``, the split called ``train``."""

    name: str
    split: str | None = None
    subset: str | None = None

    def source(self, folder: Path) -> HuggingFaceSource:
        """Its form on the wire."""
        del folder
        return HuggingFaceSource(name=self.name, split=self.split, subset=self.subset)


@dataclass(frozen=True, slots=True)
class BlobDataset:
    """JSON lines behind an HTTPS address; ``token`` is for fetching them, and a secret.

    User name, password and query of the address may be secrets too.
    """

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def shown_url(self) -> str:
        """The address as it may be shown and kept."""
        return redact_url(self.url)

    def source(self, folder: Path) -> BlobSource:
        """Its form on the wire."""
        del folder
        return BlobSource(url=self.url, token=self.token)


@dataclass(frozen=True, slots=True)
class FileDataset:
    """JSON lines in a file here, for the embedded backend. Relative to the trainer file."""

    path: str | Path

    def source(self, folder: Path) -> FileSource:
        """Its form on the wire: the path made absolute from ``folder``."""
        return FileSource(path=str((folder / Path(self.path).expanduser()).absolute()))


Dataset = HuggingFaceDataset | BlobDataset | FileDataset


def check_model(model: str | LocalModel) -> None:
    """Refuse a model name that no backend has, before anything is sent.

    Raises:
        UnsupportedModelError: it is neither the cloud's, nor the embedded backend's, nor marked as
            a :class:`LocalModel`.
    """
    if isinstance(model, LocalModel) or model in SUPPORTED_MODELS + EMBEDDED_MODELS:
        return
    known = ", ".join(SUPPORTED_MODELS + EMBEDDED_MODELS)
    raise UnsupportedModelError(
        f"Unsupported model {model!r}. Known models: {known}.",
        hint="For a model folder, a .gguf file or a hub id on the embedded backend, write "
        f"model=LocalModel({model!r}).",
    )


def model_name(model: str | LocalModel, folder: Path) -> str:
    """The model's name on the wire: paths made absolute from ``folder``, hub ids as they are."""
    if isinstance(model, str):
        return model
    text = str(model.location)
    if (
        isinstance(model.location, Path)
        or text.startswith(("/", "./", "../", "~"))
        or (text.endswith(".gguf"))
    ):
        return str((folder / Path(text).expanduser()).absolute())
    return text
