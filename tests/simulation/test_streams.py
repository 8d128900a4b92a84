"""The bits of a draw are a function of its address: key, dataset, group."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hbm_fast as hbm

FIELDS = ("alpha", "log_alpha", "beta", "log_beta", "log_theta", "theta", "counts", "n_groups", "statistics")
SETTINGS = {
    "bags": dict(model=hbm.HierarchicalModel(2), n_groups=21, totals=20),
    "ragged": dict(model=hbm.HierarchicalModel(2), n_groups=(1, 41), totals=(0, 40)),
    "ten": dict(model=hbm.HierarchicalModel(10, beta=0.5), n_groups=(3, 7), totals=(0, 300)),
    "many": dict(model=hbm.HierarchicalModel(150, alpha=hbm.priors.LogNormal(0.0, 3.0)), n_groups=5, totals=1000),
    "large": dict(model=hbm.HierarchicalModel(3), n_groups=4, totals=2_000_000_000),
}


def draw(name, n, **more):
    settings = SETTINGS[name]
    rest = {key: value for key, value in settings.items() if key != "model"} | {"rng": 5, "statistics": name != "large"}
    return hbm.simulate(settings["model"], n, **(rest | more))


def assert_same(a, b, rows=slice(None)):
    for field in FIELDS:
        left, right = getattr(a, field), getattr(b, field)
        if left is not None and right is not None:
            np.testing.assert_array_equal(left, right[rows], err_msg=field)


@pytest.mark.parametrize("name", SETTINGS)
def test_threads_do_not_matter(name):
    one = draw(name, 103, n_threads=1)
    for n_threads in (2, 3, 7):
        assert_same(draw(name, 103, n_threads=n_threads), one)


@pytest.mark.parametrize("name", SETTINGS)
def test_any_slice_is_the_slice_of_the_whole(name):
    whole = draw(name, 97)
    for first, n in ((0, 1), (1, 1), (13, 29), (96, 1), (60, 37)):
        assert_same(draw(name, n, first=first), whole, slice(first, first + n))


@pytest.mark.parametrize("totals", [(0, 8), (0, 300), 20])
@pytest.mark.parametrize("n_categories", [2, 3, 32])
def test_every_dataset_alone_is_its_row_of_the_whole(n_categories, totals):
    """Small datasets fill a block of lanes in an order that depends on their totals."""
    settings = dict(n_groups=(1, 6), totals=totals, rng=8)
    model = hbm.HierarchicalModel(n_categories)
    whole = hbm.simulate(model, 240, **settings)
    for first in range(240):
        alone = hbm.simulate(model, 1, first=first, **settings)
        for field in ("counts", "log_theta", "theta"):
            np.testing.assert_array_equal(getattr(alone, field)[0], getattr(whole, field)[first], err_msg=field)


@pytest.mark.parametrize("name", SETTINGS)
def test_counts_are_the_same_without_theta(name):
    assert_same(draw(name, 40, theta=False), draw(name, 40))
    assert draw(name, 2, theta=False).log_theta is draw(name, 2, theta=False).theta is None


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("kept", ["theta", "log_theta"])
def test_theta_is_the_same_without_the_other_form(name, kept):
    wanted = {"theta": kept == "theta", "log_theta": kept == "log_theta"}
    sims = draw(name, 70, **wanted)
    assert_same(sims, draw(name, 70))
    assert getattr(sims, kept) is not None
    assert sum(getattr(sims, field) is None for field in ("theta", "log_theta")) == 1


def test_a_stored_key_continues_its_stream():
    start = draw("bags", 10, rng=None)
    assert_same(draw("bags", 4, rng=start.key, first=6), start, slice(6, 10))


def test_other_keys_give_other_data():
    a, b = draw("bags", 20, rng=1), draw("bags", 20, rng=2)
    assert not np.isin(a.alpha, b.alpha).any()


def digest(name):
    """Digest of all simulated arrays."""
    sims = draw(name, 50)
    total = hashlib.sha256()
    for field in FIELDS:
        value = getattr(sims, field)
        if value is not None:
            total.update(value.astype(value.dtype.newbyteorder("<")).tobytes())
    return total.hexdigest()[:16]


# A change here is a change of the random streams: raise stream_version (stream.hpp) and add it to CHANGELOG.md.
GOLDEN = {
    "bags": "e4454eb9b8716577",
    "ragged": "7bd0f4720a2b8054",
    "ten": "ab75aed565224944",
    "many": "48b28f2fadb72c12",
    "large": "a2765cc95bc053b9",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_golden_streams(name):
    assert (hbm.STREAM_VERSION, digest(name)) == (1, GOLDEN[name])


def test_instruction_sets_do_not_matter():
    lines = [
        "import sys; sys.path.insert(0, sys.argv[1])",
        "import test_streams as t, hbm_fast as hbm",
        "print(hbm.show_config()['isa'], *[t.digest(name) for name in t.SETTINGS])",
    ]
    command = [sys.executable, "-c", "\n".join(lines), str(Path(__file__).parent)]
    environment = os.environ | {"HBM_FAST_ISA": "v2"}
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    assert output[0] in ("v2", "portable")
    assert dict(zip(SETTINGS, output[1:], strict=True)) == GOLDEN
