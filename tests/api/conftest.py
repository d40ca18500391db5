from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples on every machine, however busy it is.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
