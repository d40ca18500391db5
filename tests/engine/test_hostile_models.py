"""Model folders that would like to run code."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.backend.engine.errors import EngineError

pytestmark = pytest.mark.engine


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return open, (str(self.marker), "w")


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """Exists once any code of the folder has run."""
    return tmp_path / "code-has-run"


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path, marker: Path) -> Path:
    """A model that works, with Python beside it."""
    copy = tmp_path / "model"
    shutil.copytree(model_folder, copy)
    for name in ("evil", "modeling_llama", "tokenization_evil", "configuration_evil"):
        code = f"open({str(marker)!r}, 'w')\nclass Evil:\n    pass\n"
        (copy / f"{name}.py").write_text(code)
    (copy / "custom_generate").mkdir()
    (copy / "custom_generate" / "generate.py").write_text(code)
    return copy


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def pickled(path: Path, marker: Path) -> None:
    path.write_bytes(pickle.dumps({"a": Payload(marker)}))


def zipped(path: Path, marker: Path) -> None:
    """A pickle in the form that torch writes today."""
    import torch

    torch.save({"a": Payload(marker)}, path)


CODE = ["AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer"]


def known_type(folder: Path, marker: Path) -> None:
    change(folder / "config.json", auto_map=dict.fromkeys(CODE, "evil.Evil"))


def unknown_type(folder: Path, marker: Path) -> None:
    known_type(folder, marker)
    change(folder / "config.json", model_type="evil", architectures=["Evil"])


def elsewhere(folder: Path, marker: Path) -> None:
    """Code of another folder, as ``repository--module`` names it."""
    auto_map = dict.fromkeys(CODE, f"{folder}--evil.Evil")
    change(folder / "config.json", model_type="evil", auto_map=auto_map)


def tokenizer_code(folder: Path, marker: Path) -> None:
    path = folder / "tokenizer_config.json"
    auto_map = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    change(path, auto_map=auto_map, tokenizer_class="Evil")


def trusting(folder: Path, marker: Path) -> None:
    """Trust is no setting of the folder's own."""
    unknown_type(folder, marker)
    tokenizer_code(folder, marker)
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        change(folder / name, trust_remote_code=True, custom_generate=str(folder))


def pickle_alone(folder: Path, marker: Path) -> None:
    (folder / "model.safetensors").unlink()
    zipped(folder / "pytorch_model.bin", marker)


def weights_in_a_pickle(folder: Path, marker: Path) -> None:
    """Harmless ones: still a form that is not read."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def old_pickle_alone(folder: Path, marker: Path) -> None:
    (folder / "model.safetensors").unlink()
    pickled(folder / "pytorch_model.bin", marker)


def pickle_by_another_name(folder: Path, marker: Path) -> None:
    zipped(folder / "model.safetensors", marker)


def index_of_pickles(folder: Path, marker: Path) -> None:
    """Shards that are named by an index: inside the folder, and outside of it."""
    (folder / "model.safetensors").unlink()
    zipped(folder / "shard.bin", marker)
    zipped(folder.parent / "shard.bin", marker)
    weights = {"model.embed_tokens.weight": "shard.bin", "model.norm.weight": "../shard.bin"}
    index = {"metadata": {"total_size": 1}, "weight_map": weights}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def adapter_of_pickles(folder: Path, marker: Path) -> None:
    """An adapter in the model's folder, which transformers would load by itself."""
    config: dict[str, Any] = {"peft_type": "LORA", "base_model_name_or_path": str(folder), "r": 4}
    config["target_modules"] = ["q_proj"]
    config["auto_mapping"] = {"base_model_class": "Evil", "parent_library": "evil"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    zipped(folder / "adapter_model.bin", marker)


def template(folder: Path, marker: Path) -> None:
    """A chat template that leaves its sandbox."""
    (folder / "chat_template.jinja").write_text(
        "{% for c in ''.__class__.__mro__[1].__subclasses__() %}{% if c.__name__ == 'Popen' %}"
        f"{{{{ c(['touch', {str(marker)!r}]).wait() }}}}{{% endif %}}{{% endfor %}}"
    )


TRAPS = [
    known_type, unknown_type, elsewhere, tokenizer_code, trusting, pickle_alone, old_pickle_alone,
    weights_in_a_pickle, pickle_by_another_name, index_of_pickles, adapter_of_pickles, template,
]  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
def test_no_code_of_a_model_folder_runs(
    trap: Callable[[Path, Path], None], folder: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from arkor_tui.backend.engine.decode import generate
    from arkor_tui.backend.engine.modeling import load_model, load_tokenizer
    from arkor_tui.backend.engine.targets import Targets
    from arkor_tui.backend.ipc import ChatSpec

    monkeypatch.setenv("HF_HOME", str(folder.parent / "hub"))
    monkeypatch.chdir(folder)  # its modules could be imported from here, if anybody did
    trap(folder, marker)
    refused = []
    loaders: list[Callable[[], Any]] = [
        lambda: load_tokenizer(str(folder)),
        lambda: load_model(str(folder), device=torch.device("cpu"), dtype=torch.float32),
        lambda: generate(
            Targets().get(str(folder), None),
            ChatSpec([{"role": "user", "content": "x"}], max_tokens=2),
        ),
    ]
    for load in loaders:
        try:
            load()
        except EngineError as error:
            refused.append(str(error))
        assert not marker.exists()
    if trap not in (known_type, tokenizer_code, adapter_of_pickles):
        assert refused


@pytest.mark.parametrize("write", [pickled, zipped])
def test_the_pickles_would_work(
    write: Callable[[Path, Path], None], tmp_path: Path, marker: Path
) -> None:
    """They run code where somebody loads them as pickles."""
    import torch

    write(tmp_path / "p", marker)
    assert not marker.exists()
    with suppress(RuntimeError):  # what torch says of it afterwards
        torch.load(tmp_path / "p", weights_only=False)
    assert marker.exists()
