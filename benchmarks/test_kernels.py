"""The suites of kernels under pytest-benchmark: ``pytest benchmarks --benchmark-only``; every answer is checked."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from suites import embedding, likelihood, simulation

RUNS = [
    pytest.param(case, method, id=f"{case.name}-{method.name}")
    for suite in (likelihood, simulation, embedding)
    for case in suite.CASES
    for method in case.methods
]


@pytest.mark.parametrize(("case", "method"), RUNS)
def test_method(benchmark, case, method):
    if not method.installed:
        pytest.skip(f"{', '.join(method.requires)} is not installed")
    run, n = case.prepare(method)
    benchmark.group = case.name
    answer = benchmark.pedantic(run, rounds=case.rounds or 9, warmup_rounds=int(case.warm))
    metrics = case.check(answer, n)
    benchmark.extra_info |= {f"{case.unit}s": n, **metrics}
    if case.unit != "training":
        assert metrics.get("error", 0.0) < (1e-12 if method.name.startswith("hbm_fast") else 1e-3)
