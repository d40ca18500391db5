"""The training loop: what happens at which step, and that the same run is the same to the bit."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402

from arkor_tui.backend.engine import checkpoints  # noqa: E402
from arkor_tui.backend.engine.encode import encode_all, split_held_out  # noqa: E402
from arkor_tui.backend.engine.errors import ModelError, explain  # noqa: E402
from arkor_tui.backend.engine.loop import Cancelled, Plan, TrainingLoop  # noqa: E402
from arkor_tui.backend.engine.merge import merged  # noqa: E402
from arkor_tui.backend.engine.modeling import add_lora, load_model  # noqa: E402
from arkor_tui.backend.engine.rows import read_examples  # noqa: E402
from arkor_tui.backend.spec import SCHEDULERS, Every, TrainingSpec  # noqa: E402

pytestmark = pytest.mark.engine
Make = Callable[..., TrainingSpec]


class Job:
    """One run in this process, with what it emitted."""

    def __init__(
        self, spec: TrainingSpec, tokenizer: Any, folder: Path, *, stop_after: int | None = None
    ) -> None:
        self.events: list[dict[str, Any]] = []
        self.folder = folder
        examples = read_examples(spec.dataset)
        rows = encode_all(
            examples, tokenizer, max_length=spec.max_length, responses_only=spec.responses_only
        )
        train, held_out = split_held_out(rows, spec.dataset.held_out, spec.dataset.split_seed)
        model = base(spec.model_source)
        self.loop = TrainingLoop(
            add_lora(model, r=spec.lora_r, alpha=spec.lora_alpha, seed=spec.seed),
            spec,
            train=train,
            held_out=held_out,
            pad=0,
            folder=folder,
            emit=lambda kind, **fields: self.events.append({"type": kind, **fields}),
            stopped=lambda: stop_after is not None and self.loop.step >= stop_after,
        )

    def run(self, *, resume: str | None = None) -> Job:
        if resume:
            self.loop.resume(self.folder / resume)
        self.completed = self.loop.run()
        return self

    def steps(self, kind: str, field: str = "step") -> list[int]:
        return [e["step"] for e in self.events if e["type"] == kind and field in e]

    def values(self, field: str) -> list[Any]:
        return [e[field] for e in self.events if field in e]

    def weights(self, path: str = "final") -> dict[str, Any]:
        return dict(load_file(self.folder / path / "adapter_model.safetensors"))


def base(source: str) -> Any:
    return load_model(source, device=torch.device("cpu"), dtype=torch.float32)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def losses(job: Job) -> list[tuple[int, Any, Any]]:
    return [(e["step"], e.get("loss"), e.get("evalLoss")) for e in job.events if e["type"] == "log"]


def test_events_come_at_their_steps(make_spec: Make, tokenizer: Any, tmp_path: Path) -> None:
    spec = make_spec(
        held_out=0.2,
        max_steps=9,
        log_every=Every(steps=4),
        save_every=Every(steps=3),
        eval_every=Every(steps=2),
    )
    job = Job(spec, tokenizer, tmp_path / "job").run()
    assert job.steps("log", "loss") == [4, 8, 9]
    assert job.steps("log", "evalLoss") == [2, 4, 6, 8]
    assert job.steps("log") == [2, 4, 6, 8, 9], "a loss and an eval loss of one step come together"
    assert job.steps("checkpoint") == [3, 6, 9]
    for event in job.events:
        if event["type"] == "checkpoint":
            assert (tmp_path / "job" / event["path"] / "adapter_config.json").is_file()
    assert job.completed["path"] == "final"
    metrics = job.completed["metrics"]
    assert metrics["totalSteps"] == 9
    assert metrics["finalLoss"] == job.values("loss")[-1]
    assert metrics["evalLoss"] == job.values("evalLoss")[-1]


def test_zero_means_never_and_log_at_the_end(
    make_spec: Make, tokenizer: Any, tmp_path: Path
) -> None:
    job = Job(make_spec(log_every=Every(steps=0)), tokenizer, tmp_path / "job").run()
    assert job.steps("log") == [6]
    assert job.steps("checkpoint") == []
    assert [p.name for p in (tmp_path / "job").iterdir()] == ["final"]


def test_logged_loss_is_the_mean_since_the_last_log(
    make_spec: Make, tokenizer: Any, tmp_path: Path
) -> None:
    single = Job(make_spec(), tokenizer, tmp_path / "a").run().values("loss")
    pairs = Job(make_spec(log_every=Every(steps=2)), tokenizer, tmp_path / "b").run().values("loss")
    assert pairs == pytest.approx([sum(single[i : i + 2]) / 2 for i in (0, 2, 4)])
    assert single[-1] < single[0]


@pytest.mark.parametrize(
    ("changes", "total"),
    [
        ({"max_steps": 7, "epochs": 100.0}, 7),
        ({"max_steps": None, "epochs": 1.0}, 5),
        ({"max_steps": None, "epochs": 2.5}, 13),
        ({"max_steps": None, "epochs": 0.01}, 1),
        ({"max_steps": None, "epochs": 3.0, "batch_size": 8}, 9),
        ({"max_steps": 500, "dry_run": True}, 10),
        ({"max_steps": 4, "dry_run": True}, 4),
    ],
)
def test_number_of_steps(make_spec: Make, changes: dict[str, Any], total: int) -> None:
    assert Plan.of(make_spec(**changes), 20).total == total


def test_ratios_are_shares_of_all_steps(make_spec: Make) -> None:
    ratio = Every(ratio=0.25)
    plan = Plan.of(make_spec(max_steps=20, save_every=ratio, eval_every=ratio, warmup=ratio), 20)
    assert (plan.save_every, plan.eval_every, plan.warmup) == (5, 5, 5)


@pytest.mark.parametrize("responses_only", [True, False])
def test_the_loss_is_the_one_of_transformers(
    make_spec: Make, tokenizer: Any, responses_only: bool
) -> None:
    from arkor_tui.backend.engine.batches import collate
    from arkor_tui.backend.engine.loss import Loss

    spec = make_spec()
    rows = encode_all(
        read_examples(spec.dataset), tokenizer, max_length=64, responses_only=responses_only
    )
    model = add_lora(base(spec.model_source), r=4, alpha=8, seed=1)
    ids, mask, labels = collate(rows[:5], pad=0, device=torch.device("cpu"))
    with torch.no_grad():
        theirs = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss = Loss(model)
        torch.testing.assert_close(loss(ids, mask, labels), theirs)
        loss._keeps = False
        torch.testing.assert_close(loss(ids, mask, labels), theirs)


def test_every_epoch_sees_every_row_once(make_spec: Make, tokenizer: Any, tmp_path: Path) -> None:
    from arkor_tui.backend.engine.batches import batch_of_step

    spec = make_spec()
    rows = encode_all(read_examples(spec.dataset), tokenizer, max_length=64, responses_only=False)
    seen = [
        [r.line for s in epoch for r in batch_of_step(rows, s, batch_size=6, seed=1)]
        for epoch in (range(1, 5), range(5, 9))
    ]
    assert sorted(seen[0]) == sorted(seen[1]) == [r.line for r in rows]
    assert seen[0] != seen[1]


def test_the_same_seed_is_the_same_run(make_spec: Make, tokenizer: Any, tmp_path: Path) -> None:
    first, again, other = (
        Job(make_spec(seed=seed), tokenizer, tmp_path / f"job-{i}").run()
        for i, seed in enumerate((1, 1, 2))
    )
    assert losses(first) == losses(again) != losses(other)
    assert same(first.weights(), again.weights())
    assert not same(first.weights(), other.weights())


@pytest.mark.parametrize("optimizer", ["adamw_torch", "sgd", "adafactor"])
def test_a_resumed_run_is_the_uninterrupted_one(
    make_spec: Make, tokenizer: Any, tmp_path: Path, optimizer: str
) -> None:
    changes: dict[str, Any] = {
        "held_out": 0.2,
        "max_steps": 10,
        "log_every": Every(steps=3),
        "save_every": Every(steps=4),
        "eval_every": Every(steps=5),
        "warmup": Every(steps=2),
        "optimizer": optimizer,
    }
    whole = Job(make_spec(**changes), tokenizer, tmp_path / "whole").run()
    parted = Job(make_spec(**changes), tokenizer, tmp_path / "parted", stop_after=6)
    with pytest.raises(Cancelled) as caught:
        parted.run()
    assert caught.value.step == 6
    rest = Job(make_spec(**changes), tokenizer, tmp_path / "parted")
    rest.run(resume="checkpoints/step-4")
    assert losses(rest) == [entry for entry in losses(whole) if entry[0] > 4]
    assert same(rest.weights(), whole.weights())
    assert same(rest.weights("checkpoints/step-8"), whole.weights("checkpoints/step-8"))


def test_gradients_are_cut_to_the_longest_that_is_allowed(
    make_spec: Make, tokenizer: Any, tmp_path: Path
) -> None:
    """A step of plain SGD is the learning rate times the gradient."""

    def step(norm: float) -> float:
        folder = tmp_path / f"norm-{norm}"
        spec = make_spec(max_steps=1, optimizer="sgd", learning_rate=1.0, max_grad_norm=norm)
        job = Job(spec, tokenizer, folder)
        before = [p.detach().clone() for p in job.loop._parameters]
        job.run()
        moved = [p.detach() - b for p, b in zip(job.loop._parameters, before, strict=True)]
        return float(torch.stack([part.norm() for part in moved]).norm())

    whole = step(0.0)
    assert step(whole / 4) == pytest.approx(whole / 4, rel=1e-3)
    assert step(whole * 4) == pytest.approx(whole, rel=1e-3)


def test_a_checkpoint_of_another_run_is_refused(
    make_spec: Make, tokenizer: Any, tmp_path: Path
) -> None:
    Job(make_spec(save_every=Every(steps=3)), tokenizer, tmp_path / "job").run()
    other = Job(make_spec(max_steps=8), tokenizer, tmp_path / "job")
    with pytest.raises(ModelError, match="20 rows and 6 steps"):
        other.run(resume="checkpoints/step-3")
    with pytest.raises(ModelError, match="cannot go on"):
        other.run(resume="final")


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_scheduler_and_warmup_reach_the_weights(
    make_spec: Make, tokenizer: Any, tmp_path: Path, scheduler: str
) -> None:
    plain = Job(make_spec(scheduler=scheduler), tokenizer, tmp_path / "plain").run()
    warm = Job(
        make_spec(scheduler=scheduler, warmup=Every(steps=3)), tokenizer, tmp_path / "warm"
    ).run()
    assert plain.values("learningRate")[0] == 1e-2
    assert warm.values("learningRate")[:3] == pytest.approx([1e-2 / 3, 2e-2 / 3, 1e-2])
    assert not same(plain.weights(), warm.weights())


def test_settings_change_the_result(make_spec: Make, tokenizer: Any, tmp_path: Path) -> None:
    variants: list[dict[str, Any]] = [
        {},
        {"optimizer": "sgd"},
        {"optimizer": "adafactor"},
        {"weight_decay": 0.5},
        {"responses_only": True},
        {"batch_size": 5},
        {"max_length": 12},
        {"lora_alpha": 16.0},
        {"learning_rate": 5e-3},
        {"scheduler": "cosine"},
    ]
    results = []
    for number, changes in enumerate(variants):
        job = Job(make_spec(max_steps=3, **changes), tokenizer, tmp_path / str(number)).run()
        results.append(job.weights())
    for i, one in enumerate(results):
        for j in range(i):
            assert not same(one, results[j]), (variants[i], variants[j])


def test_cancel_saves_nothing_more(make_spec: Make, tokenizer: Any, tmp_path: Path) -> None:
    job = Job(
        make_spec(max_steps=100, save_every=Every(steps=2)), tokenizer, tmp_path, stop_after=3
    )
    with pytest.raises(Cancelled):
        job.run()
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-2"]
    assert not (tmp_path / "final").exists()


def test_cancel_during_evaluation(make_spec: Make, tokenizer: Any, tmp_path: Path) -> None:
    spec = make_spec(held_out=10, eval_every=Every(steps=2), batch_size=2, log_every=Every(steps=5))
    job = Job(spec, tokenizer, tmp_path, stop_after=2)
    with pytest.raises(Cancelled) as caught:
        job.run()
    assert caught.value.step == 2
    assert job.events == []


def test_divergence_is_told_and_training_goes_on(
    make_spec: Make, tokenizer: Any, tmp_path: Path
) -> None:
    spec = make_spec(
        held_out=0.2,
        learning_rate=1e30,
        optimizer="sgd",
        save_every=Every(steps=3),
        eval_every=Every(steps=3),
    )
    job = Job(spec, tokenizer, tmp_path / "job").run()
    last = job.events[-2]
    assert last["type"] == "log"
    assert last["step"] == 6
    assert "loss" not in last
    assert "evalLoss" not in last
    assert last["nonFinite"]["loss"] in ("nan", "inf")
    assert last["nonFinite"]["evalLoss"] in ("nan", "inf")
    for event in job.events:
        assert all(math.isfinite(v) for v in event.values() if isinstance(v, float))
    assert "finalLoss" not in job.completed["metrics"]
    resumed = Job(spec, tokenizer, tmp_path / "job").run(resume="checkpoints/step-3")
    assert resumed.steps("log")[-1] == 6


def test_peft_loads_our_folder_and_answers_alike(
    make_spec: Make, tokenizer: Any, tmp_path: Path
) -> None:
    from peft import PeftModel

    spec = make_spec(save_every=Every(steps=3))
    Job(spec, tokenizer, tmp_path).run()
    ids = torch.tensor([tokenizer("<|user|>the cat<|end|><|assistant|>")["input_ids"]])
    with torch.no_grad():
        plain = base(spec.model_source)(ids).logits
        for name in ("final", "checkpoints/step-3"):
            theirs = PeftModel.from_pretrained(base(spec.model_source), str(tmp_path / name))
            untouched = base(spec.model_source)
            ours, size = merged(untouched, tmp_path / name)
            torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, rtol=1e-4, atol=1e-4)
            assert not torch.allclose(ours(ids).logits, plain, atol=1e-2)
            assert torch.equal(untouched(ids).logits, plain), "the base model stays as it is"
            assert ours.get_input_embeddings().weight is untouched.get_input_embeddings().weight
            assert 0 < size < sum(p.numel() * 4 for p in untouched.parameters())


def test_other_adapters_are_merged_by_peft(make_spec: Make, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    source = make_spec().model_source
    config = LoraConfig(r=4, use_dora=True, target_modules="all-linear", init_lora_weights=False)
    theirs = get_peft_model(base(source), config)
    theirs.save_pretrained(tmp_path / "dora")
    ours, _ = merged(base(source), tmp_path / "dora")
    ids = torch.tensor([[7, 8, 9]])
    with torch.no_grad():
        torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, rtol=1e-3, atol=1e-3)


def test_adapter_of_another_model_is_refused(tmp_path: Path, make_spec: Make) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded onto"):
        merged(base(make_spec().model_source), tmp_path)


def test_a_full_disk_leaves_nothing_behind(
    make_spec: Make, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "_save_state", full)
    job = Job(make_spec(save_every=Every(steps=2)), tokenizer, tmp_path / "job")
    with pytest.raises(OSError) as caught:
        job.run()
    assert explain(caught.value).startswith("The disk is full")
    assert list((tmp_path / "job" / "checkpoints").iterdir()) == []


def test_a_full_disk_in_a_library_is_understood(
    make_spec: Make, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise RuntimeError("Error: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoints, "_save_peft", full)
    with pytest.raises(OSError) as caught:
        Job(make_spec(), tokenizer, tmp_path / "job").run()
    assert caught.value.errno == errno.ENOSPC


def test_leftovers_are_removed_and_a_stray_checkpoint_is_replaced(
    make_spec: Make, tokenizer: Any, tmp_path: Path
) -> None:
    stray = tmp_path / "checkpoints" / "step-3"
    half = tmp_path / "checkpoints" / f"{checkpoints.TEMPORARY}step-6-ab"
    for folder in (stray, half):
        folder.mkdir(parents=True)
        (folder / "x").write_text("old")
    checkpoints.remove_leftovers(tmp_path / "checkpoints")
    assert not half.exists()
    Job(make_spec(save_every=Every(steps=3)), tokenizer, tmp_path).run()
    assert not (stray / "x").exists()
    assert (stray / "adapter_model.safetensors").is_file()
