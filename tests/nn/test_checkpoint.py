"""Checkpoints that are damaged, foreign or edited; what pickles; what asks for too much memory."""

import copy
import io
import json
import pickle
import stat
from functools import partial

import numpy as np
import pytest

import hbm_fast as hbm
from damage import read_damaged

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from hbm_fast import embedding  # noqa: E402
from hbm_fast.nn import checkpoint  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:the network's own draws are not calibrated", "ignore:Pareto's k")

BAGS = np.array([[4, 0], [0, 3], [2, 2]])
SMALL = {"n_groups": (1, 3), "totals": (0, 4), "steps": 3, "rng": 0}


def make(name):
    if name in SHIPPED:
        return hbm.amortize.load(name)
    if name in ("embedding", "embedding of a mixture"):
        head = "dirichlet" if name == "embedding" else "mixture"
        return embedding.train(
            2, 2, head=head, encoder_width=16, width=16, batch_size=32, n_groups=(1, 3), totals=(0, 4), steps=3, rng=0
        )
    model, settings = SETTINGS[name]
    return hbm.amortize.train(model, batch_size=32, width=16, **settings, **SMALL)


p = hbm.priors
SETTINGS = {
    "gamma, learned local": (hbm.HierarchicalModel(2, alpha=p.Gamma(2, rate=1), beta=[0.5, 2.0]), {"local": "learned"}),
    "half-Cauchy, bottom-up": (hbm.HierarchicalModel(2, alpha=p.HalfCauchy(1.0)), {"factorization": "bottom-up"}),
    "Lomax, deepsets": (hbm.HierarchicalModel(2, alpha=p.Lomax(2.0, 1.0)), {"encoder": "deepsets"}),
    "log-uniform, diagonal": (hbm.HierarchicalModel(2, alpha=p.LogUniform(0.01, 10.0)), {"head": "diagonal"}),
}
SHIPPED = ["marbles", "any-k", "marbles-bottom-up"]
TRAINED = [*SHIPPED, *SETTINGS, "embedding", "embedding of a mixture"]


def by_torch(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {"pickle": lambda value: pickle.loads(pickle.dumps(value)), "deepcopy": copy.deepcopy, "torch": by_torch}


def same_draws(one, two):
    assert type(one) is type(two)
    np.testing.assert_array_equal(one.log_alpha, two.log_alpha)
    np.testing.assert_array_equal(one.log_beta, two.log_beta)
    assert one.latent.keys() == two.latent.keys()
    for name, value in one.latent.items():
        np.testing.assert_array_equal(value, two.latent[name])
    for group in (0, 2):
        np.testing.assert_array_equal(one.theta(group), two.theta(group))
        np.testing.assert_array_equal(one.predict(group), two.predict(group))
    np.testing.assert_array_equal(one.log_likelihood(), two.log_likelihood())


@pytest.mark.parametrize("name", TRAINED)
def test_trained_objects_and_their_posteriors_pickle_and_copy(name):
    net = make(name)
    batch = [BAGS, BAGS[::-1]]
    posteriors = {correct: net.sample(batch, n_draws=30, rng=1, correct=correct) for correct in (False, True)}
    for how, copied in COPIES.items():
        again = copied(net)
        assert again is not net, how
        for correct, post in posteriors.items():
            same_draws(post, again.sample(batch, n_draws=30, rng=1, correct=correct))
            same_draws(post, copied(post))
            same_draws(post[1], copied(post[1]))


def test_reports_of_calibration_pickle():
    """Other public objects of the networks: core/test_pickle.py."""
    report = hbm.amortize.load("marbles").calibrate(20, rng=0)
    again = COPIES["pickle"](report)
    assert (again.kl, again.sbc.p_values) == (report.kl, report.sbc.p_values)


# files ---------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network with the state of its training, its file, and an embedding's."""
    folder = tmp_path_factory.mktemp("networks")
    net = hbm.amortize.train(width=4, depth=1, n_components=2, batch_size=32, **SMALL)
    net.state.seconds = net.state.simulator_seconds = net.state.history[0]["seconds"] = net.training["seconds"] = 0.5
    net.save(folder / "net.safetensors")
    make("embedding of a mixture").save(folder / "emb.safetensors")
    return folder


def content(net):
    state = net.state
    return (
        {name: value.numpy().tobytes() for name, value in net.network.state_dict().items()},
        {name: value.numpy().tobytes() for name, value in state.optimizer.items()},
        state.generator.numpy().tobytes(),
        (state.step, state.seconds, state.simulator_seconds, state.history),
        (net.model, net.settings, net.n_groups, net.totals, net.training, net.metrics),
    )


@pytest.mark.parametrize(("name", "load"), [("net", hbm.amortize.load), ("emb", embedding.load)])
def test_a_damaged_file_is_refused_by_name_or_loads_the_same(saved, tmp_path, name, load):
    file = tmp_path / f"{name}.safetensors"
    file.write_bytes((saved / file.name).read_bytes())
    expected = content(load(file))
    for found in read_damaged(file, load, 20261129, 250):
        assert content(found) == expected


def edited(path, target, edit):
    """A file of the format before the checksum, its header changed by ``edit``."""
    tensors, header = checkpoint.read(path)
    header["format"] = 1
    changed = edit(header)
    safetensors.save_file(tensors, str(target), metadata={"hbm_fast": json.dumps(changed or header)})
    return target


def setting(*path, to=None, removed=False):
    def edit(header):
        for name in path[:-1]:
            header = header[name]
        header[path[-1]] = to
        if removed:
            del header[path[-1]]

    return edit


removed = partial(setting, removed=True)


def check_refused(load, file, field):
    with pytest.raises(ValueError, match=r"edited\.safetensors") as caught:
        load(file)
    assert field in str(caught.value).removeprefix(str(file))


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        *((removed(name), name) for name in ("factorization", "model", "settings", "n_groups", "totals", "training")),
        *((removed(name), name) for name in ("figures", "format")),
        (removed("model", "alpha"), "model"),
        (removed("model", "beta", "prior"), "model"),
        (removed("state", "step"), "state"),
        (setting("format", to="1"), "format"),
        (setting("format", to=0), "format"),
        (setting("format", to=99), "format 99"),
        (setting("factorization", to=["top-down"]), "factorization"),
        (setting("factorization", to="sideways"), "sideways"),
        (setting("totals", to=[0, 10**9]), "totals"),
        (setting("totals", to=[0, 3]), "totals"),
        (setting("totals", to=[4, 0]), "totals"),
        (setting("totals", to=[0, 4.0]), "totals"),
        (setting("totals", to=4), "totals"),
        (setting("totals", to=[0, 4, 4]), "totals"),
        (setting("totals", to=[0, 10**400]), "totals"),
        (setting("n_groups", to=[1, 10**9]), "n_groups"),
        (setting("n_groups", to=[-1, 3]), "n_groups"),
        (setting("n_groups", to=None), "n_groups"),
        (setting("settings", "width", to=10**6), "settings"),
        (setting("settings", "width", to="4"), "settings"),
        (setting("settings", "width", to=-4), "settings"),
        (setting("settings", "width", to=10**30), "settings"),
        (setting("settings", "depth", to=10**8), "depth"),
        (setting("settings", "n_components", to=10**9), "settings"),
        (setting("settings", "head", to="spline-ish"), "settings"),
        (setting("settings", "widht", to=4), "settings"),
        (setting("settings", to=[4]), "settings"),
        (setting("model", "n_categories", to=10**8), "n_categories"),
        (setting("model", "n_categories", to=3), "model"),
        (setting("model", "n_categories", to=True), "model"),
        (setting("model", "alpha", to={"prior": "AlphaPrior"}), "model"),
        (setting("model", "alpha", "rate", to=-1.0), "model"),
        (setting("model", "alpha", "rate", to=float("nan")), "model"),
        (setting("model", "beta", "prior", to="Exponential"), "model"),
        (setting("model", to=None), "model"),
        (setting("model", to=7), "model"),
        (setting("training", to=[]), "training"),
        (setting("training", "key", to=["1"]), "training"),
        (setting("training", "key", to=["x", "2"]), "training"),
        (setting("figures", to={"kl": "small"}), "figures"),
        (setting("state", to=None), "state"),
        (setting("state", "step", to=-1), "state"),
        (setting("state", "history", to=[3]), "state"),
        (setting("state", "seconds", to="long"), "state"),
        (lambda header: [1, 2], "header"),
    ],
)
def test_every_field_of_the_header_is_checked_before_it_is_used(saved, tmp_path, edit, field):
    check_refused(hbm.amortize.load, edited(saved / "net.safetensors", tmp_path / "edited.safetensors", edit), field)


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (setting("settings", "max_total", to=10**9), "settings"),
        (setting("settings", "encoder_width", to=10**6), "settings"),
        (setting("settings", "dim", to=10**8), "dim"),
        (setting("settings", "encoder_depth", to=10**8), "encoder_depth"),
        (setting("settings", "n_categories", to=10**8), "n_categories"),
        (removed("settings", "n_categories"), "settings"),
        (setting("settings", "link", to="cube"), "link"),
        (removed("totals"), "totals"),
    ],
)
def test_the_header_of_an_embedding_too(saved, tmp_path, edit, field):
    check_refused(embedding.load, edited(saved / "emb.safetensors", tmp_path / "edited.safetensors", edit), field)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["network.encoder.mlp.first.weight"].fill_(float("nan")), "'network.encoder.mlp.first.weight'"),
        (lambda t: t["optimizer.0.exp_avg"].view(-1)[:1].fill_(float("inf")), "'optimizer.0.exp_avg'"),
        (lambda t: t.pop("network.encoder.mlp.last.bias"), "'encoder.mlp.last.bias'"),
        (lambda t: t.update({"network.more": torch.zeros(2)}), "'more'"),
        (lambda t: t.update({"network.encoder.mlp.last.bias": torch.zeros(3)}), "'encoder.mlp.last.bias'"),
        (lambda t: t.update({"network.encoder.mlp.last.bias": torch.zeros(12).double()}), "'encoder.mlp.last.bias'"),
        (lambda t: t.update({"optimizer.99.exp_avg": torch.zeros(2)}), "'optimizer.99.exp_avg'"),
        (lambda t: t.update({"optimizer.0.exp_avg": torch.zeros(2)}), "'optimizer.0.exp_avg'"),
        (lambda t: t.update({"generator": torch.zeros(2)}), "'generator'"),
    ],
)
def test_tensors_are_checked(saved, tmp_path, change, message):
    tensors, header = checkpoint.read(saved / "net.safetensors")
    header["format"] = 1
    change(tensors)
    file = tmp_path / "edited.safetensors"
    safetensors.save_file(tensors, str(file), metadata={"hbm_fast": json.dumps(header)})
    check_refused(hbm.amortize.load, file, message)


def test_files_with_and_without_a_checksum(saved, tmp_path):
    whole = content(hbm.amortize.load(saved / "net.safetensors"))
    before = edited(saved / "net.safetensors", tmp_path / "a.safetensors", lambda header: None)
    assert content(hbm.amortize.load(before)) == whole
    for checksum in ({}, {"sha256": "0" * 64}, {"sha256": None}):
        wrong = edited(saved / "net.safetensors", tmp_path / "b", lambda h, c=checksum: {**h, "format": 2, **c})
        with pytest.raises(ValueError, match="b is damaged: the checksum"):
            hbm.amortize.load(wrong)
    again = hbm.amortize.load(saved / "net.safetensors")
    again.save(tmp_path / "c.safetensors")
    assert (tmp_path / "c.safetensors").read_bytes() == (saved / "net.safetensors").read_bytes()


def test_each_kind_of_file_names_its_reader(saved, tmp_path):
    with pytest.raises(FileNotFoundError, match="networks that come with"):
        hbm.amortize.load(tmp_path / "nothing")
    safetensors.save_file({"a": torch.zeros(1)}, str(tmp_path / "foreign"))
    with pytest.raises(ValueError, match="no header"):
        hbm.amortize.load(tmp_path / "foreign")
    with pytest.raises(ValueError, match=r"holds an embedding: hbm_fast\.embedding\.load reads it"):
        hbm.amortize.load(saved / "emb.safetensors")
    with pytest.raises(ValueError, match=r"hbm_fast\.amortize\.load reads it"):
        embedding.load(saved / "net.safetensors")
    for junk in (b"", b"hello", b"\xff" * 100, (10**9).to_bytes(8, "little") + b"{}"):
        (tmp_path / "junk").write_bytes(junk)
        with pytest.raises(ValueError, match="junk is not a safetensors file"):
            hbm.amortize.load(tmp_path / "junk")


def test_loading_leaves_torch_s_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    hbm.amortize.load("marbles")
    assert torch.equal(torch.rand(2), expected)


def test_a_file_has_the_mode_of_the_umask_and_links_stay(saved, tmp_path):
    net = hbm.amortize.load(saved / "net.safetensors")
    plain = tmp_path / "plain"
    plain.touch()
    net.save(tmp_path / "net.safetensors")
    assert stat.S_IMODE((tmp_path / "net.safetensors").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    link = tmp_path / "link.safetensors"
    link.symlink_to(tmp_path / "target.safetensors")
    net.save(link)
    assert link.is_symlink()
    assert (tmp_path / "target.safetensors").is_file()
    networks = {f"{name}.safetensors" for name in ("net", "link", "target")}
    assert {file.name for file in tmp_path.iterdir()} == {"plain"} | networks


# memory --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("load", [lambda: hbm.amortize.load("any-k"), lambda: embedding.load("marbles")])
def test_more_draws_than_memory_are_named(load, monkeypatch):
    net = load()
    with pytest.raises(MemoryError, match="n_draws = 1000000000000 takes"):
        net.sample(BAGS, n_draws=10**12)
    with pytest.raises(ValueError, match="n_draws must be at most"):
        net.sample(BAGS, n_draws=10**30)

    def fail(*arguments, **options):
        torch.empty(2**60)

    kind, method = (type(net), "_draw") if isinstance(net, embedding.Embedding) else (type(net.network), "draw")
    monkeypatch.setattr(kind, method, fail)
    with pytest.raises(MemoryError, match="n_draws = 100 takes more memory"):
        net.sample(BAGS, n_draws=100)
