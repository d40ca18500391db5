"""How long to wait before trying again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.api.reconnect import ReconnectPolicy, StreamState
from arkor_tui.config.settings import StreamSettings

seconds = st.just(0.0) | st.floats(1e-3, 1e6)
policies = st.builds(ReconnectPolicy, base_delay=seconds, max_delay=seconds, jitter=st.floats(0, 1))


def middle(low: float, high: float) -> float:
    return (low + high) / 2


@given(policies, st.integers(0, 10_000))
def test_a_delay_is_never_negative_and_never_above_the_cap(
    policy: ReconnectPolicy, failures: int
) -> None:
    assert 0 <= policy.delay(failures) <= policy.max_delay


@given(policies, st.integers(0, 200), st.floats(0, 1))
def test_the_jitter_is_at_most_its_share_of_the_plain_delay(
    policy: ReconnectPolicy, failures: int, draw: float
) -> None:
    plain = min(policy.base_delay * 2.0**failures, policy.max_delay)
    drawn = policy.delay(failures, lambda low, high: low + draw * (high - low))
    assert abs(drawn - plain) <= plain * policy.jitter + 1e-9 * (plain + 1)


@given(st.integers(0, 500))
def test_without_jitter_delays_double_up_to_the_cap(failures: int) -> None:
    policy = ReconnectPolicy(jitter=0)
    assert policy.delay(failures) == min(2.0**failures, 60.0)


def test_what_the_settings_say() -> None:
    assert ReconnectPolicy.of(StreamSettings()) == ReconnectPolicy()
    wishes = StreamSettings(idle_timeout=9.0, base_delay=0.0, max_delay=7.0, max_attempts=0)
    assert ReconnectPolicy.of(wishes) == ReconnectPolicy(0.0, 7.0, 0.25, 0, 9.0)
    assert ReconnectPolicy.of(StreamSettings(idle_timeout=1.0)).idle_timeout == 1.0
    assert ReconnectPolicy.of(StreamSettings(idle_timeout=0.0)).idle_timeout is None


def test_what_is_usual() -> None:
    usual = ReconnectPolicy(1.0, 60.0, 0.25, max_attempts=None, idle_timeout=45.0)
    assert ReconnectPolicy() == usual
    assert StreamState("live") == StreamState("live", attempt=0, delay=0.0, reason="")


def test_the_usual_delays() -> None:
    delays = [ReconnectPolicy().delay(n, middle) for n in range(8)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]


def test_the_usual_extremes_are_a_quarter_off_and_stop_at_the_cap() -> None:
    policy = ReconnectPolicy()
    assert policy.delay(0, lambda low, high: low) == 0.75
    assert policy.delay(0, lambda low, high: high) == 1.25
    assert policy.delay(9, lambda low, high: low) == 45
    assert policy.delay(9, lambda low, high: high) == 60
