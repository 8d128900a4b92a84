"""All that takes a device, on a GPU and on the CPU: ``python tools/check_cuda.py``, at most eight minutes.

Trainings and resumed trainings, draws of the networks that come with hbm_fast and their weights, embeddings, the
likelihood with its derivatives, batches of the simulation stream, exported networks: each number on the CPU, on the
device, and how far they may lie apart. Speeds have no limit. The exit status is 0 where all numbers agree, 1 where one
does not or the time was too short for a check, 2 where there is no GPU. ``--device cpu`` compares the CPU with itself.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch  # noqa: TID251

import hbm_fast as hbm
from hbm_fast import embedding
from hbm_fast.integrations.torch import SimulationStream
from hbm_fast.integrations.torch_likelihood import log_prob

EXACT, ROUNDED = 0.0, 1e-4  # of equal bits, and of numbers in float32
SPEED = float("inf")
Numbers = dict[str, tuple[float, float]]  # by name: a value, and how far it may lie from the CPU's

BAGS = hbm.datasets.load_marbles().counts
TABLES = [BAGS, BAGS[:3], np.array([[4, 1], [0, 2]]), np.array([[0, 1]])]
SHIPPED: dict[str, Callable[[], Any]] = {
    "marbles": partial(hbm.amortize.load, "marbles"),
    "any-k": partial(hbm.amortize.load, "any-k"),
    "embedding": partial(embedding.load, "marbles"),
}
RANGES: dict[str, Any] = {"n_groups": (1, 10), "totals": (0, 20), "rng": 0}
TRAININGS: dict[str, dict[str, Any]] = {
    "top-down": {},
    "bfloat16": {"mixed_precision": True},
    "tabulated prior": {"model": hbm.HierarchicalModel(2, alpha=hbm.priors.Gamma(2.0, rate=1.0)), "wake": 0.3},
    "spline": {"head": "spline"},
    "learned local": {"local": "learned"},
    "bottom-up": {"factorization": "bottom-up"},
    "any-k": {"factorization": "any-k", "categories": (2, 3)},
}
EMBEDDINGS: dict[str, dict[str, Any]] = {"full": {}, "mixture": {"head": "mixture"}, "flow": {"q": "flow"}}


def seconds(function: Callable[[], Any], device: str) -> float:
    """Time of a second call."""
    for _ in range(2):
        start = time.perf_counter()
        function()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
    return time.perf_counter() - start


def train(settings: dict[str, Any], device: str, steps: int) -> Numbers:
    """Held-out metrics of a network; the random numbers of a GPU are others."""
    net = hbm.amortize.train(**RANGES, **settings, steps=steps, device=device)
    kl, share = net.metrics["kl"], net.metrics["ess_share"]
    return {
        "KL to the exact posterior": (kl, 0.05 + 0.3 * kl),
        "effective share": (share, 0.1),
        "steps a second": (steps / net.history["seconds"].iloc[-1], SPEED),
    }


def resume(device: str, steps: int) -> Numbers:
    """Weights of a training with a pause beside those of one without."""
    whole = hbm.amortize.train(**RANGES, steps=steps, device=device)
    first = hbm.amortize.train(**RANGES, steps=steps, device=device, pause_at=steps // 2)
    rest = hbm.amortize.train(resume=first, steps=steps, device=device)
    pairs = zip(whole.network.parameters(), rest.network.parameters(), strict=True)
    return {"largest change of a weight by a pause": (max(float((a - b).abs().max()) for a, b in pairs), ROUNDED)}


def sample(load: Callable[[], Any], device: str, steps: int) -> Numbers:
    """Draws of a network that comes with hbm_fast, with weights and without; their random numbers are the same."""
    net = load().to(device)
    post, own = (net.sample(TABLES, n_draws=4000, rng=1, correct=correct) for correct in (True, False))
    numbers: Numbers = {}
    for b, (evidence, mean) in enumerate(zip(post.log_evidence, own.mean("log_alpha"), strict=True)):
        numbers[f"log evidence of dataset {b}"] = (float(evidence), 0.02)
        numbers[f"mean log alpha without weights of dataset {b}"] = (float(mean), 0.02)
    many = np.repeat(BAGS[None, :12], 100, axis=0)
    time_taken = seconds(lambda: net.sample(many, n_draws=1000, rng=1, correct=False), device)
    return numbers | {"draws a second": (100_000 / time_taken, SPEED)}


def embed(settings: dict[str, Any], device: str, steps: int) -> Numbers:
    """The held-out metric of an embedding; the random numbers of a GPU are others."""
    emb = embedding.train(2, 2, steps=steps, rng=0, device=device, **settings)
    return {
        "bound on the log evidence": (emb.metrics["bound"], 0.3),
        "steps a second": (steps / emb.history["seconds"].iloc[-1], SPEED),
    }


def likelihood(device: str, steps: int) -> Numbers:
    """The likelihood of torch and its derivatives beside the kernel's."""
    rng = np.random.default_rng(0)
    a = rng.gamma(1.0, size=(2000, 50))
    counts = rng.multinomial(100, rng.dirichlet(np.ones(50), 2000))
    value, gradient = hbm.log_likelihood_gradient(counts, a)
    x = torch.from_numpy(counts).to(device)
    at = torch.from_numpy(a).to(device).requires_grad_()

    def call() -> tuple[torch.Tensor, torch.Tensor]:
        total = log_prob(x, at)
        return total, torch.autograd.grad(total.sum(), at)[0]

    found, slope = (part.detach().cpu().numpy() for part in call())
    statistics = hbm.SufficientStatistics(counts)
    shared = float(log_prob(statistics, at[0].detach()))
    return {
        "largest relative error": (float(np.abs(found / value - 1.0).max()), 1e-12),
        "largest error of a derivative": (float((np.abs(slope - gradient) / (1.0 + np.abs(gradient))).max()), 1e-11),
        "by statistics": (shared, 1e-6),
        "values with derivatives a second": (2000 / seconds(call, device), SPEED),
    }


def stream(device: str, steps: int) -> Numbers:
    """Batches of the simulation stream, copied to the device from page-locked memory."""
    gpu = device.startswith("cuda")
    settings: dict[str, Any] = {"n_groups": 21, "totals": 20, "rng": 0, "theta": True, "statistics": True}
    batches = SimulationStream(hbm.HierarchicalModel(3), 1024, stop=20, pin_memory=gpu, **settings)
    plain = SimulationStream(hbm.HierarchicalModel(3), 1024, stop=20, **settings)
    copied = [{name: t.to(device, non_blocking=True) for name, t in batch.items()} for batch in batches]
    pairs = [(batch[name], moved[name]) for batch, moved in zip(plain, copied, strict=True) for name in batch]
    differ = sum(not torch.equal(one, two.cpu()) for one, two in pairs)
    return {"tensors that differ from the CPU's": (float(differ), EXACT), "tensors": (float(len(pairs)), EXACT)}


def export(load: Callable[[], Any], device: str, steps: int) -> Numbers:
    """Parameters of q, and how far those that `torch.export` gives on the device are from them."""
    net = load().to(device)
    features = net.features(TABLES)
    parameters = net.network(features).detach()
    exported = torch.export.export(net.network, (features,)).module()(features)
    return {
        "sum of the parameters": (float(parameters.double().sum()), ROUNDED * parameters.numel()),
        "largest change by torch.export": (float((exported - parameters).abs().max()), ROUNDED),
    }


CHECKS: dict[str, Callable[[str, int], Numbers]] = {
    "stream": stream,
    "likelihood": likelihood,
    **{f"export {name}": partial(export, load) for name, load in SHIPPED.items()},
    **{f"sample {name}": partial(sample, load) for name, load in SHIPPED.items()},
    "resume": resume,
    **{f"train {name}": partial(train, settings) for name, settings in TRAININGS.items()},
    **{f"embed {name}": partial(embed, settings) for name, settings in EMBEDDINGS.items()},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each number; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try this script")
    parser.add_argument("--steps", type=int, default=500, help="of each training")
    parser.add_argument("--minutes", type=float, default=8.0, help="after which no further check begins")
    parser.add_argument("--only", nargs="*", choices=CHECKS, default=list(CHECKS), help="these checks")
    options = parser.parse_args(arguments)
    try:
        hbm.amortize.TrainingOptions(device=options.device)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")  # short trainings are not calibrated
    name = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else "CPU"
    print(f"hbm_fast {hbm.__version__}, torch {torch.__version__}, {options.device}: {name}, {options.steps} steps")
    start, failed, longest = time.perf_counter(), [], 0.0
    for label in options.only:
        begin = time.perf_counter()
        # a check is not begun that would end too late if it took as long as the longest before it
        if begin - start + longest > 60.0 * options.minutes:
            failed.append(f"{label} (no time left)")
            continue
        on_cpu, on_device = (CHECKS[label](device, options.steps) for device in ("cpu", options.device))
        failed += report(label, on_cpu, on_device)
        longest = max(longest, time.perf_counter() - begin)
    print(f"{time.perf_counter() - start:.0f} s; " + (f"differ: {'; '.join(failed)}" if failed else "all agree"))
    return 1 if failed else 0


def report(label: str, on_cpu: Numbers, on_device: Numbers) -> list[str]:
    """Print the numbers of a check; the names of those that differ."""
    failed = []
    for name, (value, most) in on_device.items():
        expected = on_cpu[name][0]
        agrees = abs(value - expected) <= most
        limit = "" if most == SPEED else f"within {most:.2g}: {'yes' if agrees else 'NO'}"
        print(f"{label:22} {name:46} {expected:14.6g} {value:14.6g}  {limit}", flush=True)
        if not agrees:  # NaN too
            failed.append(f"{label}: {name}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
