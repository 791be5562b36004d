"""What all tests share: the profiles of Hypothesis, and an environment without the machine's own settings."""

from __future__ import annotations

import os
from datetime import timedelta

from hypothesis import HealthCheck, settings

# dev: new examples on each run. ci: more of them, and no deadline on a shared machine. deterministic: the same ones always.
# long: what `make simulate` runs.
settings.register_profile("dev", max_examples=50, deadline=timedelta(seconds=2))
settings.register_profile("ci", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deterministic", parent=settings.get_profile("ci"), derandomize=True, database=None)
settings.register_profile("long", parent=settings.get_profile("ci"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("deterministic" if os.environ.get("CI") else "dev"))

for name in [name for name in os.environ if name.startswith("SYNCD_")]:
    del os.environ[name]
