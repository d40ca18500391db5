"""Learning rates as formulas say, and optimizers that differ and can be put back."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from arkor_tui.backend.engine.optim import (  # noqa: E402
    learning_rate,
    make_optimizer,
    restore_state,
    state_of,
)
from arkor_tui.backend.spec import OPTIMIZERS, SCHEDULERS  # noqa: E402

pytestmark = pytest.mark.engine


def rates(scheduler: str, *, warmup: int = 0, total: int = 10) -> list[float]:
    return [
        learning_rate(scheduler, s, peak=1.0, warmup=warmup, total=total)  # type: ignore[arg-type]
        for s in range(1, total + 1)
    ]


def test_schedulers() -> None:
    assert rates("linear") == pytest.approx([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    assert rates("constant") == rates("constant_with_warmup") == [1.0] * 10
    cosine = rates("cosine")
    assert cosine[0] == 1
    assert cosine[5] == pytest.approx(0.5)
    assert cosine == sorted(cosine, reverse=True)
    assert 0 < cosine[-1] < 0.03


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_warmup_is_obeyed_by_every_scheduler(scheduler: str) -> None:
    found = rates(scheduler, warmup=4)
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4] == 1.0
    assert all(rate > 0 for rate in found)


def test_warmup_as_long_as_the_run() -> None:
    assert rates("linear", warmup=10)[-1] == 1.0


def trained(
    name: str, steps: int, *, resumed_at: int | None = None, decay: float = 0.0
) -> list[float]:
    """A parameter matrix after ``steps`` steps of a fixed problem."""
    torch.manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(3, 4))
    make = lambda: make_optimizer(name, [weight], lr=0.1, weight_decay=decay)  # type: ignore[arg-type] # noqa: E731
    optimizer = make()
    for step in range(steps):
        if step == resumed_at:
            tensors, values = state_of(optimizer)
            tensors = {key: tensor.clone() for key, tensor in tensors.items()}
            optimizer = make()
            restore_state(optimizer, tensors, values)
        (weight**2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return [float(x) for x in weight.detach().flatten()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_train_decay_and_resume(name: str) -> None:
    start, end = trained(name, 0), trained(name, 6)
    assert sum(x * x for x in end) < sum(x * x for x in start)
    assert trained(name, 6, decay=0.5) != end
    assert trained(name, 6, resumed_at=3) == end


def test_optimizers_differ() -> None:
    results = {name: tuple(trained(name, 6)) for name in OPTIMIZERS}
    assert results["adamw"] == results["adamw_torch"]
    assert len(set(results.values())) == 3
