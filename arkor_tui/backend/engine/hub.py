"""The JSON Lines files of a dataset on the Hugging Face hub, or in its local cache."""

from __future__ import annotations

import re
from pathlib import Path

from arkor_tui.backend.spec import DatasetSpec
from arkor_tui.text.sanitize import plain

from .errors import DatasetError

_JSONL = (".jsonl", ".ndjson")
_SPLIT_WORDS = frozenset({"train", "test", "validation", "valid", "val", "dev", "eval"})


def hub_files(dataset: DatasetSpec) -> list[tuple[str, Path]]:
    """Name and path of each file that makes up the split (``train`` unless told otherwise).

    Only JSON Lines is supported. Files are chosen by their names: the split, and the subset where
    one is given, must be words of the path.

    Raises:
        DatasetError: the dataset cannot be reached, or has no such file.
    """
    name = dataset.location
    try:
        listed = _online(name, dataset.token)
    except Exception as error:  # the library has no common base for what can go wrong
        cached = _cached(name)
        if cached is None:
            raise DatasetError(
                f"Cannot reach the hub dataset {name}: {plain(_first_line(error), limit=300)}",
                hint="Check its name and the network, or use a local JSON Lines file instead.",
            ) from error
        listed = cached
    chosen = choose(list(listed), split=dataset.split or "train", subset=dataset.subset, name=name)
    return [
        (f"{name}/{file}", _download(name, file, listed[file], dataset.token)) for file in chosen
    ]


def choose(files: list[str], *, split: str, subset: str | None, name: str) -> list[str]:
    """The files of ``files`` that hold the split of the subset, sorted.

    Raises:
        DatasetError: there are none; the text says what there is.
    """
    rows = [file for file in files if file.lower().endswith(_JSONL)]
    if not rows:
        kinds = sorted({Path(file).suffix for file in files if Path(file).suffix}) or ["no files"]
        raise DatasetError(
            f"The hub dataset {name} has no JSON Lines file (it has {', '.join(kinds[:8])}); "
            "Parquet, CSV and dataset scripts are not supported by the local backend.",
            hint="Export it as JSON Lines and use it as a local file.",
        )
    if subset is not None:
        rows = [
            file for file in rows if subset.lower() in _words(file) or _has_folder(file, subset)
        ]
    chosen = [file for file in rows if split.lower() in _words(file)]
    if not chosen and len(rows) == 1 and split == "train" and not _words(rows[0]) & _SPLIT_WORDS:
        chosen = rows
    if not chosen:
        wanted = f"the split {split}" + (f" of the subset {subset}" if subset else "")
        shown = ", ".join([file for file in files if file.lower().endswith(_JSONL)][:8])
        raise DatasetError(
            f"The hub dataset {name} has no JSON Lines file for {wanted}; it has {shown}.",
            hint="Set split and subset so that they name one of them.",
        )
    return sorted(chosen)


def _words(file: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", file.lower().rsplit(".", 1)[0]))


def _has_folder(file: str, subset: str) -> bool:
    return subset in Path(file).parts


def _cached(name: str) -> dict[str, Path | None] | None:
    """What the cache has of the newest snapshot; not necessarily all of its files."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, repo_type="dataset", local_files_only=True))
    except Exception:  # not in the cache, in whatever words the library says it
        return None
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in files}


def _online(name: str, token: str | None) -> dict[str, Path | None]:
    from huggingface_hub import HfApi

    found = HfApi(token=token).list_repo_files(name, repo_type="dataset")
    return dict.fromkeys(found)


def _download(name: str, file: str, cached: Path | None, token: str | None) -> Path:
    if cached is not None:
        return cached
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, file, repo_type="dataset", token=token))
    except Exception as error:
        raise DatasetError(
            f"Cannot download {file} of the hub dataset {name}: "
            f"{plain(_first_line(error), limit=300)}",
            hint="Check the network, or use a local JSON Lines file instead.",
        ) from error


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
