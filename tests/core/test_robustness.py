"""No input, thread or order of exit ends the process; an impossible request raises an error with a message."""

import copy
import importlib.util
import itertools
import pickle
import signal
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import _core
from interpreter import run
from layouts import packed, shifted

KEY = np.array([1, 2], np.uint64)
EXPONENTIAL = _core.priors.AlphaPrior("exponential", 1.0, 0.0, 0.0, 0.0)
BAD_COUNTS = [
    (np.int8, -128),
    (np.int16, -30_000),
    (np.int32, np.iinfo(np.int32).min),  # R's NA_integer_
    (np.int64, np.iinfo(np.int64).min),
    (np.int64, -1_000_000),
    (np.int64, 2**63 - 1),
    (np.uint64, 2**64 - 2**30),
]


def uniform_beta(n_categories: int) -> _core.priors.BetaPrior:
    return _core.priors.BetaPrior(False, np.ones(n_categories))


def run_threads(calls: list[Callable[[], object]]) -> None:
    """One thread for each call; all end."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "bad"), BAD_COUNTS)
@pytest.mark.parametrize("concentration", [[5.0, 1.0, 1.0], [0.5, 0.5, 2.0]])
def test_a_bad_count_among_many_rows_is_refused(dtype: type, bad: int, concentration: list[float]) -> None:
    counts = np.full((200, 3), 5, dtype)
    counts[7, 2] = bad
    tables = np.empty((1, 4, 8), np.float32)
    calls: list[Callable[[], object]] = [
        lambda: hbm.SufficientStatistics(counts),
        lambda: hbm.SufficientStatistics(counts, weights=np.ones(200)),
        lambda: hbm.sample(counts, n_draws=2, n_chains=1, rng=0),
        lambda: _core.statistics.exceedance_counts(counts[np.newaxis], tables, 1),
        lambda: _core.mcmc.sample([counts], EXPONENTIAL, uniform_beta(3), ["mh"], 2, 1, 2, KEY, 1, None),
    ]
    forms: list[Any] = [counts]
    if np.dtype(dtype).itemsize > 2 and importlib.util.find_spec("scipy") is not None:
        import scipy.sparse

        forms.append(scipy.sparse.csr_matrix(counts))
        calls.append(lambda: hbm.SufficientStatistics(forms[-1]))
    for form, coefficient in itertools.product(forms, (True, False)):
        calls.append(partial(hbm.log_likelihood, form, concentration, coefficient=coefficient))
    for coefficient in (True, False):
        calls.append(partial(hbm.log_likelihood_gradient, counts, concentration, coefficient=coefficient))
    for call in calls:
        with pytest.raises(ValueError, match=r"negative|2\*\*53|exceed|at most"):
            call()


def test_posterior_refuses_counts_that_are_none() -> None:
    posterior = hbm.sample([[20, 0], [0, 20]], n_draws=4, n_chains=1, rng=0)
    log_alpha, log_beta = posterior.log_alpha.reshape(1, -1), posterior.log_beta.reshape(1, -1, 2)
    datasets = np.zeros(1, np.uint64)
    for bad in (-1, -(2**63), 2**53 + 1):
        rows = np.array([[1, bad]], np.int64)
        with pytest.raises(ValueError, match="rows must hold counts"):
            _core.prediction.draw_log_theta(log_alpha, log_beta, rows, KEY, 0, datasets, np.empty((1, 4, 2)), 1)
        with pytest.raises(ValueError, match="rows must hold counts"):
            _core.prediction.group_log_pmf(log_alpha, log_beta, rows[:, np.newaxis], True, np.empty((1, 4, 1)), 1)
        with pytest.raises(ValueError, match="totals must hold counts"):
            _core.prediction.draw_predictive_counts(
                log_beta, rows[0, 1:], KEY, 0, datasets, np.empty(log_beta.shape, np.int64), 1
            )


@pytest.mark.parametrize("log_alpha", [-1e300, -1e4, 800.0])
def test_predictions_where_alpha_is_no_double(log_alpha: float) -> None:
    """Far below, every theta is pure; above the largest double theta is beta."""
    n, beta = 20_000, np.array([0.25, 0.75])
    draws, rows = np.full((1, n), log_alpha), np.array([[0, 0]])
    log_beta, log_theta = np.broadcast_to(np.log(beta), (1, n, 2)).copy(), np.empty((1, n, 2))
    _core.prediction.draw_log_theta(draws, log_beta, rows, KEY, 0, np.zeros(1, np.uint64), log_theta, 2)
    assert np.isfinite(log_theta).all()
    theta, value = np.exp(log_theta[0]), np.empty((1, n, 1))
    if log_alpha < 0.0:
        assert set(theta[:, 0]) == {0.0, 1.0}
        assert abs(theta[:, 0].mean() - 0.25) < 6.5 * np.sqrt(0.1875 / n)
    else:
        np.testing.assert_allclose(log_theta, log_beta, rtol=1e-12)
        _core.prediction.group_log_pmf(draws, log_beta, np.array([[[2, 1]]]), False, value, 1)
        np.testing.assert_allclose(value, 2 * np.log(0.25) + np.log(0.75), rtol=1e-12)


COUNTS = np.zeros((2, 4, 3), np.int32)
UP_TO_4_AND_9 = _core.simulation.IntegerSource(1, 4), _core.simulation.IntegerSource(0, 9)


def simulate_core(n_groups: Any, totals: Any, **changes: Any) -> None:
    """A call of the binding for two datasets of up to four groups with totals up to 9."""
    arrays: dict[str, Any] = {
        "log_alpha": np.empty(2),
        "log_beta": np.empty((2, 3)),
        "alpha_out": np.empty(2),
        "beta_out": np.empty((2, 3)),
        "n_groups_out": np.empty(2, np.int64),
        "log_theta": None,
        "theta": None,
        "counts": COUNTS.copy(),
        "statistics": np.empty((2, 4, 9), np.float32),
        "max_groups": 4,
        "first": 0,
        "beta": uniform_beta(3),
    } | changes
    fixed = {"key": KEY, "alpha": EXPONENTIAL, "alpha_given": False, "beta_given": False, "n_threads": 1}
    _core.simulation.simulate(n_groups=n_groups, totals=totals, **fixed, **arrays)


def test_simulate_refuses_numbers_beyond_its_arrays() -> None:
    source = _core.simulation.IntegerSource
    good_groups, good_totals = UP_TO_4_AND_9
    simulate_core(good_groups, good_totals)
    simulate_core(source(np.array([4, 1]), 1, 0), source(np.arange(8), 4, 1))
    for n_groups in (source(np.array([4, 5]), 1, 0), source(np.array([-1, 4]), 1, 0), source(1, 5), source(-1, 4)):
        with pytest.raises(ValueError, match="n_groups must be from 0 to 4"):
            simulate_core(n_groups, good_totals)
    for totals in (source(np.array([0, 10, 0, 0]), 0, 1), source(0, 10), source(np.full(8, -(2**62)), 4, 1)):
        with pytest.raises(ValueError, match="totals must be from 0 to 9"):
            simulate_core(good_groups, totals)
    with pytest.raises(ValueError, match="given values of totals are too few"):
        simulate_core(good_groups, source(np.arange(7), 4, 1))
    with pytest.raises(ValueError, match="given values of n_groups are too few"):
        simulate_core(source(np.ones(1, np.int64), 2**63, 0), good_totals)
    with pytest.raises(ValueError, match="max_groups"):
        simulate_core(good_groups, good_totals, max_groups=2**32, counts=None, statistics=None)
    with pytest.raises(ValueError, match="first"):
        simulate_core(good_groups, good_totals, first=2**64 - 1)


def test_variates_end_whatever_the_weights() -> None:
    out = np.empty((2, 3), np.int64)
    for weights in ([[np.nan, 1.0, 1.0]], [[np.nan] * 3], [[np.inf, np.inf, 1.0]], [[-1.0, 2.0, np.inf]]):
        _core.simulation.multinomial(KEY, np.array([5, 2_000_000_000]), np.array(weights), out, 1)
        assert (out >= 0).all()
    for total in (-1, 2_000_000_001):
        with pytest.raises(ValueError, match="totals must be from 0"):
            _core.simulation.multinomial(KEY, np.array([5, total]), np.ones((1, 3)), out, 1)
    with pytest.raises(ValueError, match="no parameters"):  # their draws would never end
        _core.priors.AlphaPrior("gamma", np.nan, 1.0, 0.0, 0.0)


def test_first_is_named() -> None:
    model = hbm.HierarchicalModel(2)
    for first, n_datasets in ((2**64, 1), (2**64 - 1, 2), (10**30, 1), (2**64, 0)):
        with pytest.raises(ValueError, match=r"first must be at most 1844674407370955161\d; got"):
            hbm.simulate(model, n_datasets, n_groups=2, totals=2, first=first, rng=0)
    last = hbm.simulate(model, 1, n_groups=2, totals=2, first=2**64 - 1, rng=0)
    assert last.counts is not None
    assert last.counts.sum() == 4
    assert hbm.simulate(model, 0, n_groups=2, totals=3, first=2**64 - 1, rng=0).counts.shape == (0, 2, 2)


# --- layouts --------------------------------------------------------------------------------------------------------


def swapped(array: np.ndarray) -> np.ndarray:
    """The same values in the other byte order."""
    return array.astype(array.dtype.newbyteorder("S"))


@pytest.mark.parametrize("change", [packed, shifted, swapped])
def test_bindings_refuse_layouts_that_they_cannot_read(change: Callable[[np.ndarray], np.ndarray]) -> None:
    counts, a = np.array([[1, 2], [3, 4]], np.int32), np.array([0.5, 2.0])
    statistics = _core.statistics.SufficientStatistics(2)
    prior = (EXPONENTIAL, uniform_beta(2))
    values, columns, offsets = counts.reshape(-1), np.array([0, 1, 0, 1], np.int32), np.array([0, 2, 4], np.int32)
    calls: list[Callable[[], object]] = [
        lambda: _core.likelihood.log_pmf(change(counts), a, True, np.empty(2), 1),
        lambda: _core.likelihood.log_pmf(counts, change(a), True, np.empty(2), 1),
        lambda: _core.likelihood.log_pmf(counts, a, True, change(np.empty(2)), 1),
        lambda: _core.likelihood.log_pmf_gradient(change(counts), a, True, np.empty(2), np.empty((2, 2)), 1),
        lambda: _core.likelihood.sparse_log_pmf(change(values), columns, offsets, a[np.newaxis], True, np.empty(2), 1),
        lambda: _core.likelihood.sparse_log_pmf(values, change(columns), offsets, a[np.newaxis], True, np.empty(2), 1),
        lambda: _core.likelihood.sparse_log_pmf(values, columns, offsets, change(a[np.newaxis]), True, np.empty(2), 1),
        lambda: statistics.add(change(counts)),
        lambda: statistics.add(counts, change(np.ones(2))),
        lambda: statistics.add_sparse(change(values), columns, offsets),
        lambda: statistics.log_likelihood(change(a), np.empty(1), None, 1),
        lambda: _core.mcmc.sample([change(counts)], *prior, ["mh"], 2, 1, 2, KEY, 1, None),
        lambda: _core.statistics.exceedance_counts(change(counts[np.newaxis]), np.empty((1, 3, 7), np.float32), 1),
        lambda: _core.statistics.exceedance_counts(counts[np.newaxis], change(np.empty((1, 3, 7), np.float32)), 1),
        lambda: _core.simulation.dirichlet(change(KEY), a[np.newaxis], np.empty((2, 2)), 1),
        lambda: _core.priors.BetaPrior(False, change(a)),
        lambda: _core.simulation.IntegerSource(change(np.arange(4)), 1, 0),
        lambda: _core.networks.normal_tails(change(a), np.empty(2), np.empty(2), 1),
        lambda: simulate_core(*UP_TO_4_AND_9, counts=change(COUNTS)),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"aligned|contiguous"):
            call()
    assert statistics.n_groups == 0.0


# --- empty arrays ---------------------------------------------------------------------------------------------------


def test_empty_variates() -> None:
    assert hbm.dirichlet(0, []).shape == (0,)
    assert hbm.dirichlet(0, np.empty((3, 0))).shape == (3, 0)
    assert hbm.dirichlet(0, np.empty((0, 4))).shape == (0, 4)
    assert hbm.dirichlet(0, [1.0, 2.0], size=0).shape == (0, 2)
    assert hbm.multinomial(0, np.empty(0, int), np.empty((0, 0))).shape == (0, 0)
    assert hbm.multinomial(0, np.empty(0, int), [0.5, 0.5]).shape == (0, 2)
    with pytest.raises(ValueError, match="at least one category"):
        _core.simulation.multinomial(KEY, np.array([3]), np.empty((1, 0)), np.empty((1, 0), np.int64), 1)


def test_empty_arrays_in_the_bindings() -> None:
    for b, s, k in ((0, 3, 2), (1, 0, 2), (1, 3, 0)):
        log_alpha, log_beta = np.zeros((b, s)), np.full((b, s, k), -1.0)
        datasets, rows = np.zeros(b, np.uint64), np.zeros((b, k), np.int64)
        _core.prediction.draw_log_theta(log_alpha, log_beta, rows, KEY, 0, datasets, np.empty((b, s, k)), 1)
        out = np.ones((b, s, 1))
        _core.prediction.group_log_pmf(log_alpha, log_beta, rows[:, np.newaxis], True, out, 1)
        assert not out.any()
        totals = np.zeros(b, np.int64)
        _core.prediction.draw_predictive_counts(log_beta, totals, KEY, 0, datasets, np.empty((b, s, k), np.int64), 1)
    for n, k in ((0, 2), (100, 0), (0, 0)):
        counts, value = np.zeros((n, k), np.int32), np.ones(n)
        _core.likelihood.log_pmf(counts, np.ones(k), True, value, 1)
        assert not value.any()
        _core.likelihood.log_pmf_gradient(counts, np.ones(k), True, value, np.empty((n, k)), 1)
        columns, offsets = np.zeros(0, np.int32), np.zeros(n + 1, np.int32)
        _core.likelihood.sparse_log_pmf(np.zeros(0, int), columns, offsets, np.ones((1, k)), True, value, 1)
        assert not value.any()
        _core.statistics.exceedance_counts(counts[np.newaxis], np.empty((1, k + 1, 3), np.float32), 1)
        statistics = _core.statistics.SufficientStatistics(k)
        statistics.add(counts)
        assert statistics.n_groups == n
    prior = EXPONENTIAL
    with pytest.raises(ValueError, match="at least one category"):
        _core.mcmc.sample([], prior, _core.priors.BetaPrior(False, np.empty(0)), [], 1, 1, 1, KEY, 1, None)
    with pytest.raises(TypeError, match="each dataset must be an integer array"):
        _core.mcmc.sample([[1, 2]], prior, _core.priors.BetaPrior(False, np.ones(2)), ["mh"], 1, 1, 1, KEY, 1, None)
    empty = {"beta": _core.priors.BetaPrior(False, np.empty(0)), "counts": None, "statistics": None}
    with pytest.raises(ValueError, match="at least one category"):
        simulate_core(*UP_TO_4_AND_9, log_beta=np.empty((2, 0)), beta_out=np.empty((2, 0)), **empty)


# --- threads and copies ---------------------------------------------------------------------------------------------


def test_threads_share_statistics() -> None:
    counts = np.random.default_rng(1).integers(0, 3000, (400, 3))
    expected = hbm.SufficientStatistics(counts)
    shared, other = hbm.SufficientStatistics(n_categories=3), hbm.SufficientStatistics(n_categories=3)
    barrier = threading.Barrier(5)
    problems: list[BaseException] = []

    def use(call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            for _ in range(50):
                call()
        except BaseException as error:
            problems.append(error)

    def read() -> None:
        seen = pickle.loads(pickle.dumps(shared))  # whole additions alone
        assert seen.n_groups % 400 == 0
        repeats = seen.n_groups / 400
        value = expected.log_likelihood([1.0, 2.0, 3.0]) * repeats
        assert seen.log_likelihood([1.0, 2.0, 3.0]) == pytest.approx(value, rel=1e-9)

    calls = [
        lambda: shared.add(counts),
        lambda: shared.add(counts),
        lambda: shared.merge(expected),
        read,
        lambda: other.merge(shared),
    ]
    run_threads([partial(use, call) for call in calls])
    assert not problems
    assert shared.n_groups == 150 * 400


def test_statistics_merge_with_themselves_and_each_other() -> None:
    first, second = hbm.SufficientStatistics([[1, 2]]), hbm.SufficientStatistics([[3, 4]])
    first.merge(first)
    assert first.n_groups == 2.0
    run_threads([partial(first.merge, second), partial(second.merge, first)])


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda stats: pickle.loads(pickle.dumps(stats))])
def test_a_copy_of_statistics_is_a_copy(copied: Callable[[hbm.SufficientStatistics], hbm.SufficientStatistics]) -> None:
    stats = hbm.SufficientStatistics([[1, 2], [3, 70_000]])
    other = copied(stats)
    other.add([[5, 5]])
    assert (stats.n_groups, other.n_groups) == (2.0, 3.0)
    stats.add([[5, 5]])
    assert stats.log_likelihood([1.0, 2.0]) == other.log_likelihood([1.0, 2.0])


def test_states_that_no_counts_give_are_refused() -> None:
    core = _core.statistics.SufficientStatistics(2)
    core.add(np.array([[1, 2], [3, 0]]))
    good = core.__getstate__()
    restored = _core.statistics.SufficientStatistics.__new__(_core.statistics.SufficientStatistics)
    restored.__setstate__(good)
    assert restored.n_groups == 2.0
    one, two = (np.array([1.0]), np.array([1.0])), np.array([1.0, 2.0])
    for bad in (
        (1, 3.0, 0.0, [(shifted(two), two), (two, two)]),
        (1, 3.0, 0.0, [(two, shifted(two)), (two, two)]),
        (2, np.nan, 0.0, good[3]),
        (2, -1.0, 0.0, good[3]),
        (3, 2.0, 0.0, good[3]),
        (2, 2.0, 0.0, [one, one, one]),  # the totals are of other counts
        (2, 2.0, 0.0, [(np.array([np.nan]), np.array([1.0]))] * 3),
        (2, 2.0, 0.0, [(np.array([-1.0]), np.array([1.0]))] * 3),
        (2, 2.0, 0.0, [(np.array([1.0]), np.array([np.nan]))] * 3),
        (2, 2.0, 0.0, [(np.array([1.0]), np.array([-1.0]))] * 3),
        (2, 2.0, 0.0, [(np.array([1.0]), np.array([5.0]))] * 3),  # more groups than there are
        *((2, 4.0, 0.0, [(np.array(v), np.ones(len(v)))] * 3) for v in ([1.0, np.nan], [3.0, 1.0], [1.5], [1e300])),
        (2, 2.0, 0.0, [1, 2, 3]),
        (2, 2.0),
    ):
        with pytest.raises((ValueError, TypeError)):
            _core.statistics.SufficientStatistics.__new__(_core.statistics.SufficientStatistics).__setstate__(bad)


def test_models_have_weak_references() -> None:
    model = hbm.HierarchicalModel(3)
    assert weakref.ref(model)() is model


# --- exits and interrupts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("long_calls", [True, False])
def test_daemon_threads_let_the_interpreter_exit(long_calls: bool) -> None:
    """Threads inside long calls, and threads that go from one short call to the next."""
    result = run(
        f"""
        import threading, time, numpy as np, hbm_fast as hbm
        size = {2_000_000 if long_calls else 20}
        counts = np.random.default_rng(0).integers(0, 5000, (size, 4))
        concentrations = np.full((size, 4), 0.5)
        model = hbm.HierarchicalModel(4)
        stats = hbm.SufficientStatistics(counts[:1000])
        calls = [
            lambda: hbm.log_likelihood(counts, concentrations, n_threads=2),
            lambda: hbm.sample(counts[:1000], n_draws=size, rng=0, n_threads=2) if size > 100 else stats.n_groups,
            lambda: hbm.simulate(model, size // 20, n_groups=20, totals=300, rng=0, n_threads=2),
            lambda: stats.log_likelihood(concentrations, n_threads=2),
        ]
        def use(call):
            while True:
                call()
        for call in calls:
            threading.Thread(target=use, args=(call,), daemon=True).start()
        time.sleep(0.5)
        """
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(importlib.util.find_spec("_xxsubinterpreters") is None, reason="no module for subinterpreters")
@pytest.mark.parametrize("before", ["pass", "import hbm_fast"])
def test_import_in_a_subinterpreter_is_refused(before: str) -> None:
    result = run(
        f"""
        import _xxsubinterpreters as interpreters
        {before}
        try:
            interpreters.run_string(interpreters.create(), "import hbm_fast")
        except interpreters.RunFailedError as error:
            print(error)
        """
    )
    assert result.returncode == 0, result.stderr
    assert "ImportError" in result.stdout
    if before == "pass":  # otherwise numpy raises first
        assert "hbm_fast cannot be imported in a subinterpreter" in result.stdout


class Alarm(Exception):
    """Raised by the handler of a timer."""


@pytest.fixture
def alarm() -> Any:
    if not hasattr(signal, "setitimer"):
        pytest.skip("no timers")

    def ring(number: int, frame: object) -> None:
        raise Alarm

    def with_alarm(call: Callable[[], object]) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            call()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    before = signal.signal(signal.SIGALRM, ring)
    yield with_alarm
    signal.signal(signal.SIGALRM, before)


def test_adding_and_one_long_dataset_are_interruptible(alarm: Callable[[Callable[[], object]], None]) -> None:
    """All values differ, so that each call takes seconds if it is not interrupted."""
    counts = np.random.default_rng(0).integers(0, 2**39, (1_500_000, 2))
    stats = hbm.SufficientStatistics([[1, 2], [3, 4]])
    expected = stats.log_likelihood([1.0, 2.0])
    calls: list[Callable[[], object]] = [
        lambda: stats.add(counts),
        lambda: stats.add(counts, weights=np.ones(len(counts))),
        lambda: hbm.sample(counts, n_draws=10, rng=0),
        lambda: hbm.simulate(hbm.HierarchicalModel(5), 1, n_groups=3_000_000, totals=(20, 300), theta=False, rng=0),
    ]
    if importlib.util.find_spec("scipy") is not None:
        import scipy.sparse

        matrix = scipy.sparse.csr_array(counts)
        calls.append(lambda: stats.add(matrix))
    for call in calls:
        with pytest.raises(Alarm):
            alarm(call)
        assert stats.n_groups == 2.0
        assert stats.log_likelihood([1.0, 2.0]) == expected


def test_one_long_evaluation_is_interruptible(alarm: Callable[[Callable[[], object]], None]) -> None:
    """A chunk of 11 concentrations that takes seconds ends before its last value is written."""
    stats = _core.statistics.SufficientStatistics(2)
    stats.add(np.random.default_rng(0).integers(2**20, 2**39, (500_000, 2)), None)
    concentration = np.full((11, 2), 3.0)
    value, diagonal = np.full(11, np.nan), np.empty((11, 2))
    for call in (
        lambda: stats.log_likelihood(concentration, value, None, 1),
        lambda: stats.log_likelihood(concentration, value, np.empty((11, 2)), 1),
        lambda: stats.hessian(concentration, diagonal, value, 1),
    ):
        with pytest.raises(Alarm):
            alarm(call)
        assert np.isnan(value[-1])


def test_variates_of_no_categories_take_no_time_however_many() -> None:
    """2**48 empty rows take no memory, but a loop over them would take years."""
    result = run("import hbm_fast as hbm; print(hbm.dirichlet(1, [], 2**48).shape)")
    assert result.stdout.strip() == f"({2**48}, 0)", result.stderr


@pytest.mark.parametrize("weights", [[0.0144, 1.7e308], [1.0, 1e300], [1.0, 1e20]])
def test_weights_whose_sums_cannot_be_resolved_are_refused(weights):
    statistics = hbm.SufficientStatistics(n_categories=2).add([[4, 1], [8, 2]], weights=weights)
    for method in ("gibbs", "hmc", "mh"):
        with pytest.raises(ValueError, match=r"sum of weight \* count is at most 1e\+18|needs whole weights"):
            hbm.sample(statistics, method=method, n_draws=5, rng=0)
    with pytest.raises(ValueError, match=r"sum of weight \* count is at most 1e\+18"):
        hbm.exact_posterior(statistics)
