"""The draws of every sampler, every shipped network and embedding keep their bits.

The last bits depend on the instruction-set level and the C library. Those of a network also depend on the build of
torch, and on the maker of the CPU, by which torch's matrix products choose their code. These are the keys of
golden_digests.json; `python tests/architecture/test_golden_digests.py` stores the digests of this machine.
"""

import hashlib
import json
import platform
from pathlib import Path

import numpy as np
import pytest

import hbm_fast as hbm

STORED = Path(__file__).parent / "golden_digests.json"
MARBLES = hbm.datasets.load_marbles().counts
SAMPLER_CASES = {
    "hmc": dict(method="hmc"),
    "gibbs": dict(method="gibbs"),
    "mh": dict(method="mh"),
    "hmc of LogNormal": dict(method="hmc", model=hbm.HierarchicalModel(2, alpha=hbm.priors.LogNormal(0.0, 2.0))),
    "mh of LogUniform": dict(method="mh", model=hbm.HierarchicalModel(2, alpha=hbm.priors.LogUniform(0.01, 100.0))),
    "gibbs of sparse beta": dict(method="gibbs", model=hbm.HierarchicalModel(2, beta=0.1)),
}
NETWORKS = ("marbles", "marbles-bottom-up", "any-k")
EMBEDDINGS = ("marbles", "marbles-exp-plus-one", "languages")


def machine():
    """The instruction-set level and the C library, on which the last bits of a sampler depend."""
    return f"{hbm.show_config()['isa']}, {' '.join(platform.libc_ver())}"


def torch_build():
    """The same with the build of torch and the maker of the CPU, on which the last bits of a network depend."""
    import torch

    return f"{machine()}, torch {torch.__version__} {torch.backends.cpu.get_cpu_capability()}, {cpu_maker()}"


def cpu_maker():
    """Such as "GenuineIntel"; on other machines than x86-64 their name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split()[-1] for line in lines if line.startswith("vendor_id")), platform.machine())


def digest(*arrays):
    total = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        total.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return total.hexdigest()[:16]


def sampler_digest(name):
    wide = hbm.simulate(hbm.HierarchicalModel(40), 1, n_groups=12, totals=50, rng=4).counts[0]
    case = dict(n_draws=60, n_chains=2, rng=3, diagnostics=False) | SAMPLER_CASES[name]
    posteriors = [hbm.sample(MARBLES, **case)]
    if "model" not in case:
        posteriors.append(hbm.sample(wide, **case))
    return digest(*(array for post in posteriors for array in (post.log_alpha, post.log_beta, post.log_theta(3))))


def network_digest(name):
    import torch

    torch.set_num_threads(1)
    net = hbm.amortize.load(name)
    post = net.sample(MARBLES, n_draws=100, rng=2, correct=False)
    return digest(post.log_alpha, post.log_beta, post.log_theta(20))


def embedding_digest(name):
    import torch

    torch.set_num_threads(1)
    emb = hbm.embedding.load(name)
    if name == "languages":
        chains = hbm.datasets.load_languages().counts("Faroese")
        post = emb.sample(chains[:5], n_draws=100, rng=2, correct=False)
        return digest(post.z, post.log_predictive(chains[5:]))
    post = emb.sample(MARBLES, n_draws=100, rng=2, correct=False)
    return digest(post.z, post.log_alpha, post.log_beta)


def stored(key, kind, name):
    found = json.loads(STORED.read_text()).get(key, {}).get(kind, {}).get(name)
    if found is None:
        pytest.skip(f"no digest of {name} is stored for {key}")
    return found


@pytest.mark.parametrize("name", SAMPLER_CASES)
def test_samplers(name):
    assert sampler_digest(name) == stored(machine(), "samplers", name)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    assert network_digest(name) == stored(torch_build(), "networks", name)


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings(name):
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    assert embedding_digest(name) == stored(torch_build(), "embeddings", name)


def test_each_is_stored_for_some_machine():
    groups = json.loads(STORED.read_text()).values()
    for kind, names in (("samplers", SAMPLER_CASES), ("networks", NETWORKS), ("embeddings", EMBEDDINGS)):
        assert {name for group in groups for name in group.get(kind, {})} == set(names)


if __name__ == "__main__":
    digests = json.loads(STORED.read_text()) if STORED.exists() else {}
    digests[machine()] = {"samplers": {name: sampler_digest(name) for name in SAMPLER_CASES}}
    digests[torch_build()] = {
        "networks": {name: network_digest(name) for name in NETWORKS},
        "embeddings": {name: embedding_digest(name) for name in EMBEDDINGS},
    }
    STORED.write_text(json.dumps(digests, indent=2) + "\n")
