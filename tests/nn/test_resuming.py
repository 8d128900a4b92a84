"""resume= and init_from=: what a training may go on from, and what it does not change."""

import copy
import warnings

import numpy as np
import pytest

import hbm_fast as hbm

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hbm_fast import embedding  # noqa: E402
from hbm_fast.errors import ConvergenceWarning  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:the network's own draws are not calibrated")  # after so few steps

MODEL = hbm.HierarchicalModel(3)
ONE = {"n_groups": (1, 3), "totals": (0, 4), "width": 16, "batch_size": 32}
EMBEDDED = {"encoder_width": 16, "encoder_depth": 1, "width": 16, "depth": 1, "batch_size": 32}


@pytest.fixture(scope="module")
def paused():
    return hbm.amortize.train(MODEL, steps=10, pause_at=4, rng=0, **ONE)


@pytest.fixture(scope="module")
def embedded():
    return embedding.train(
        3, 2, head="mixture", link="softplus", n_groups=(1, 3), totals=(0, 4), steps=10, pause_at=4, rng=0, **EMBEDDED
    )


@pytest.fixture(scope="module")
def whole():
    return hbm.amortize.train(MODEL, steps=10, rng=0, **ONE)


def weights(estimator):
    return {name: value.clone() for name, value in estimator.network.state_dict().items()}


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("other", "was", "came"),
    [
        ({"model": hbm.HierarchicalModel(3, alpha=hbm.priors.Gamma(2, rate=1))}, "Exponential(rate=1.0)", "Gamma"),
        ({"model": hbm.HierarchicalModel(3, beta=0.5)}, "concentration=1.0", "concentration=0.5"),
        ({"model": hbm.HierarchicalModel(2)}, "HierarchicalModel(3", "HierarchicalModel(2"),
        ({"n_groups": (1, 4)}, "n_groups=(1, 3)", "n_groups=(1, 4)"),
        ({"totals": 4}, "totals=(0, 4)", "totals=(4, 4)"),
        ({"width": 32}, "width=16", "width=32"),
        ({"n_components": 3}, "n_components=8", "n_components=3"),
        ({"wake": 0.5}, "wake=0.0", "wake=0.5"),
        ({"factorization": "bottom-up"}, "factorization='top-down'", "factorization='bottom-up'"),
    ],
    ids=str,
)
def test_a_training_goes_on_for_what_it_was_for_alone(paused, other, was, came, tmp_path):
    file = tmp_path / "half.safetensors"
    paused.save(file)
    for earlier in (paused, file):
        with pytest.raises(ValueError, match="init_from=") as caught:
            hbm.amortize.train(**{"model": MODEL, "steps": 10, "resume": earlier, "rng": 0, **ONE, **other})
        message = str(caught.value)
        assert was in message[: message.index("; got ")]
        assert came in message[message.index("; got ") :]
        assert ("half.safetensors" if earlier is file else "this network") in message


def test_a_resumed_network_stays_as_it_was(paused, whole):
    before, state = weights(paused), copy.deepcopy(paused.state)
    training, metrics = copy.deepcopy(paused.training), dict(paused.metrics)
    rest = hbm.amortize.train(MODEL, steps=10, resume=paused, rng=0, **ONE)
    assert rest is not paused
    assert not same(before, weights(rest))
    assert same(before, weights(paused))
    assert (paused.training, paused.metrics) == (training, metrics)
    assert (paused.state.step, paused.state.history) == (state.step, state.history)
    assert all(torch.equal(paused.state.optimizer[name], value) for name, value in state.optimizer.items())
    assert same(weights(whole), weights(rest))


def test_what_is_not_given_on_resume_is_the_network_s(paused, whole):
    rest = hbm.amortize.train(steps=10, resume=paused)
    assert same(weights(rest), weights(whole))
    assert (rest.model, rest.n_groups, rest.totals) == (MODEL, (1, 3), (0, 4))
    assert rest.training["batch_size"] == 32


def test_an_rng_that_is_ignored_is_named(paused):
    for rng in (1, np.random.default_rng(2)):
        with pytest.warns(UserWarning, match="rng is ignored"):
            rest = hbm.amortize.train(steps=6, resume=paused, rng=rng)
        assert rest.training["key"] == paused.training["key"]


def test_a_network_starts_from_the_weights_of_another(paused, tmp_path):
    other = hbm.HierarchicalModel(3, alpha=hbm.priors.Gamma(2, rate=1))
    before = weights(paused)
    started = hbm.amortize.train(other, init_from=paused, n_groups=(1, 5), steps=1, learning_rate=1e-12, rng=5)
    assert same(before, weights(paused))
    assert (started.model, started.n_groups, started.totals) == (other, (1, 5), (0, 4))
    assert started.settings["width"] == 16
    assert started.training["steps"] == 1
    assert started.training["key"] != paused.training["key"]
    assert started.state.optimizer["0.step"] == 1.0  # a new optimizer
    torch.testing.assert_close(weights(started), before, rtol=0, atol=1e-6)
    paused.save(tmp_path / "n.safetensors")
    again = hbm.amortize.train(
        other, init_from=tmp_path / "n.safetensors", n_groups=(1, 5), steps=1, learning_rate=1e-12, rng=5
    )
    assert same(weights(started), weights(again))


@pytest.mark.parametrize(
    "other",
    [{"width": 32}, {"totals": (0, 5)}, {"model": hbm.HierarchicalModel(2)}, {"factorization": "bottom-up"}],
    ids=str,
)
def test_weights_of_another_architecture_are_refused(paused, other):
    with pytest.raises(ValueError, match=r"init_from: the arguments .* ask for other weights: .*shape.*shape|no such"):
        hbm.amortize.train(**{"model": MODEL, "init_from": paused, "steps": 1, "rng": 0, **other})


def test_resume_and_init_from_are_checked(paused, embedded):
    with pytest.raises(ValueError, match="not both"):
        hbm.amortize.train(steps=1, resume=paused, init_from=paused)
    for name in ("resume", "init_from"):
        with pytest.raises(TypeError, match=f"{name} must be an Estimator"):
            hbm.amortize.train(steps=1, **{name: embedded})
        with pytest.raises(TypeError, match=f"{name} must be an Embedding"):
            embedding.train(steps=1, **{name: paused})
    bare = copy.deepcopy(paused)
    bare.state = None
    with pytest.raises(ValueError, match="without the state"):
        hbm.amortize.train(steps=5, resume=bare)
    for train, earlier in ((hbm.amortize.train, paused), (embedding.train, embedded)):
        keyless = copy.deepcopy(earlier)
        keyless.training = {}
        with pytest.raises(ValueError, match="without the key of its stream"):
            train(steps=5, resume=keyless)


def test_a_training_that_is_not_calibrated_warns():
    options = {"factorization": "bottom-up", "steps": 20, "rng": 0, **ONE}
    with pytest.warns(ConvergenceWarning, match=r"p = .*sbc_p"):
        net = hbm.amortize.train(hbm.HierarchicalModel(2), **options)
    assert net.metrics["sbc_p"] < 1e-4
    with warnings.catch_warnings():  # a pause is not the end of a training
        warnings.simplefilter("error")
        hbm.amortize.train(hbm.HierarchicalModel(2), pause_at=15, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("train", [hbm.amortize.train, embedding.train])
def test_a_gpu_that_is_not_there(train):
    with pytest.raises(ValueError, match="torch sees no GPU"):
        train(steps=1, device="cuda")
    with pytest.raises(ValueError, match='device must be "cpu" or "cuda"'):
        train(steps=1, device="gpu")


# the embedding -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("other", "was", "came"),
    [
        ({"model": hbm.HierarchicalModel(3, alpha=2.0)}, "Exponential(rate=1.0)", "Fixed(value=2.0)"),
        ({"n_categories": 2}, "n_categories=3", "n_categories=2"),
        ({"totals": (0, 9)}, "totals=(0, 4)", "totals=(0, 9)"),
        ({"n_groups": 3}, "n_groups=(1, 3)", "n_groups=(3, 3)"),
        ({"dim": 3}, "dim=2", "dim=3"),
        ({"link": "exp"}, "link='softplus'", "link='exp'"),
        ({"n_components": 2}, "n_components=4", "n_components=2"),
        ({"head": "dirichlet"}, "n_components=4", "n_components=1"),
        ({"q_components": 2}, "q_components=8", "q_components=2"),
        ({"data": [[[1, 2, 0]]] * 4}, "model=HierarchicalModel", "model=None"),
    ],
    ids=str,
)
def test_an_embedding_goes_on_for_what_it_was_for_alone(embedded, other, was, came):
    with pytest.raises(ValueError, match="init_from=") as caught:
        embedding.train(**{"steps": 10, "resume": embedded, **other})
    message = str(caught.value)
    assert was in message[: message.index("; got ")]
    assert came in message[message.index("; got ") :]


def test_a_resumed_embedding_stays_as_it_was(embedded):
    before, exact = weights(embedded), embedded.exact
    rest = embedding.train(steps=10, resume=embedded)
    assert rest is not embedded
    assert rest.exact is not exact
    assert same(before, weights(embedded))
    assert embedded.state.step == 4
    whole = embedding.train(
        3, 2, head="mixture", link="softplus", n_groups=(1, 3), totals=(0, 4), steps=10, rng=0, **EMBEDDED
    )
    assert same(weights(whole), weights(rest))
    with pytest.warns(UserWarning, match="rng is ignored"):
        embedding.train(steps=5, resume=embedded, rng=7)


def test_an_embedding_starts_from_the_weights_of_another(embedded):
    started = embedding.train(3, init_from=embedded, n_groups=(2, 2), steps=1, learning_rate=1e-12, rng=1)
    assert started.n_groups == (2, 2)
    assert started.settings == embedded.settings
    torch.testing.assert_close(weights(started), weights(embedded), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"init_from: .* ask for other weights"):
        embedding.train(3, init_from=embedded, width=32, steps=1)


def test_an_embedding_of_given_datasets_goes_on_with_them():
    data = hbm.simulate(hbm.HierarchicalModel(2), 40, n_groups=(2, 3), totals=(0, 4), rng=1).counts
    half = embedding.train(data=data, steps=10, pause_at=4, rng=0, **EMBEDDED)
    rest = embedding.train(data=data, steps=10, resume=half)
    assert same(weights(rest), weights(embedding.train(data=data, steps=10, rng=0, **EMBEDDED)))
    with pytest.raises(ValueError, match="pass them again as data="):
        embedding.train(steps=10, resume=half)
    with pytest.raises(ValueError, match=r"other data.*init_from="):
        embedding.train(data=data[::-1], steps=10, resume=half)
