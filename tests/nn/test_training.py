"""The training loop: its options, progress, end, and what it does not change."""

import signal
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

import hbm_fast as hbm

torch = pytest.importorskip("torch")

from hbm_fast.amortize.estimator import Estimator  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:the network's own draws are not calibrated")  # after so few steps

SMALL = {"n_groups": (1, 6), "totals": (0, 8)}


def test_progress_is_shown_on_stderr_and_off_by_default(capsys):
    hbm.amortize.train(steps=32, rng=0, width=16, progress=True, **SMALL)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "hbm-fast: training 50%" in shown.err
    assert "KL" in shown.err
    hbm.amortize.train(steps=16, rng=0, width=16, **SMALL)
    assert capsys.readouterr().err == ""


def test_progress_may_be_a_function():
    seen = []
    options = dict(steps=64, rng=0, width=16, progress=lambda *found: seen.append(found), **SMALL)
    net = hbm.amortize.train(**options)
    assert [share for share, _ in seen] == [0.25, 0.5, 0.75, 1.0]
    assert [metrics["step"] for _, metrics in seen] == [16, 32, 48, 64]
    assert seen[-1][1]["kl"] == net.metrics["kl"]
    with pytest.raises(TypeError, match="progress must be True, False or a function"):
        hbm.amortize.train(**options | {"progress": "yes"})


def test_the_end_has_a_reason():
    small = dict(rng=0, width=16, **SMALL)
    net = hbm.amortize.train(steps=20, pause_at=16, **small)
    assert net.training["ended"] == "at step 16, to pause"
    assert hbm.amortize.train(resume=net, steps=20).training["ended"] == "after all steps"
    assert hbm.amortize.train(minutes=0.001, **small).training["ended"] == "after 0.001 minutes"
    ended = hbm.amortize.train(steps=20, target=1e9, **small).training["ended"]
    assert ended.startswith("at the target, a held-out KL of ")
    assert hbm.amortize.train(steps=200, callback=lambda *_: True, **small).training["ended"] == "by the callback"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_a_state_that_goes_on_bit_for_bit(tmp_path, number):
    class Ended(KeyboardInterrupt):
        pass

    def end(*_):
        raise Ended

    def press(share, metrics):
        if metrics["step"] == 32:
            signal.raise_signal(number)

    file = tmp_path / "net.safetensors"
    settings = dict(steps=64, rng=0, width=16, **SMALL)
    former = signal.signal(number, end)
    try:
        with pytest.raises(Ended):
            hbm.amortize.train(**settings, checkpoint=file, progress=press)
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, former)
    found = hbm.amortize.load(file).training
    assert (found["steps"], found["ended"]) == (48, "by an interruption")  # the block in which the signal is noticed
    rest, whole = hbm.amortize.train(resume=file, steps=64), hbm.amortize.train(**settings)
    torch.testing.assert_close(whole.network.state_dict(), rest.network.state_dict(), rtol=0, atol=0)


def test_options_and_flat_keywords_are_the_same_training():
    options = hbm.amortize.TrainingOptions(steps=3, batch_size=32)
    assert options == hbm.embedding.TrainingOptions(steps=3, batch_size=32)
    assert (options.device, options.mixed_precision, options.progress) == ("cpu", False, False)
    for train, settings in ((hbm.amortize.train, {"width": 16, **SMALL}), (hbm.embedding.train, {"encoder_width": 16})):
        flat = train(steps=3, batch_size=32, rng=0, **settings)
        for mixed in ({"options": options}, {"options": hbm.amortize.TrainingOptions(steps=3), "batch_size": 32}):
            other = train(rng=0, **mixed, **settings)
            torch.testing.assert_close(other.network.state_dict(), flat.network.state_dict(), rtol=0, atol=0)
            assert other.training["batch_size"] == 32


@pytest.mark.parametrize("train", [hbm.amortize.train, hbm.embedding.train])
def test_options_given_twice_or_out_of_range_are_named(train):
    options = hbm.amortize.TrainingOptions(steps=3, device="cpu")
    for twice in ({"steps": 3}, {"device": "cpu"}):  # also at the default value
        with pytest.raises(TypeError, match=f"{next(iter(twice))} is given twice"):
            train(options=options, **twice)
    with pytest.raises(TypeError, match="learning_rat"):
        train(options=options, learning_rat=0.1)
    with pytest.raises(TypeError, match="options must be a TrainingOptions"):
        train(options={"steps": 3})
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        train(options=options, batch_size=0)
    with pytest.raises(ValueError, match="minutes must be"):
        hbm.amortize.TrainingOptions(minutes=-1.0)
    with pytest.raises(FrozenInstanceError):
        options.steps = 4


def test_the_callback_has_metrics_and_can_stop():
    seen = []

    def callback(step, metrics):
        seen.append((step, metrics["kl"]))
        return len(seen) == 3

    options = {"steps": 160, "n_groups": (1, 4), "totals": (0, 4), "rng": 0}
    net = hbm.amortize.train(callback=callback, **options)
    assert len(seen) == 3
    assert net.training["steps"] == seen[-1][0] < 160
    assert net.metrics["kl"] == pytest.approx(seen[-1][1], abs=0.2)
    with pytest.raises(TypeError, match="callback must be a function"):
        hbm.amortize.train(callback=3, **options)


def test_options_without_effect_are_refused():
    with pytest.raises(TypeError, match="target is an option of"):
        hbm.embedding.train(steps=1, target=0.1)
    with pytest.raises(TypeError, match="patience is an option of"):
        hbm.amortize.train(steps=1, patience=2)
    with pytest.raises(TypeError, match="patience needs data"):
        hbm.embedding.train(2, steps=1, options=hbm.embedding.TrainingOptions(patience=2))


def test_an_embedding_saves_its_checkpoint_too(tmp_path):
    hbm.embedding.train(2, steps=40, batch_size=32, encoder_width=16, rng=0, checkpoint=tmp_path / "e.safetensors")
    assert 0 < hbm.embedding.load(tmp_path / "e.safetensors").training["steps"] < 40


def test_the_old_name_of_metrics_is_deprecated():
    for net in (hbm.amortize.load("marbles"), hbm.embedding.load("marbles")):
        with pytest.warns(DeprecationWarning, match="use metrics"):
            assert net.figures == net.metrics


def test_mixed_precision_trains_on_the_cpu_too():
    est = hbm.amortize.train(steps=120, rng=0, width=32, mixed_precision=True, **SMALL)
    assert est.metrics["kl"] < 0.3
    assert all(p.dtype == torch.float32 for p in est.network.parameters())


def test_the_first_of_steps_minutes_and_target_stops():
    options = hbm.amortize.TrainingOptions(steps=100, minutes=1.0)
    assert options.fraction(50, 6.0) == pytest.approx(0.5)
    assert options.fraction(50, 54.0) == pytest.approx(0.9)
    est = hbm.amortize.train(minutes=0.02, rng=0, width=16, **SMALL)
    assert est.training["steps"] >= 1
    assert est.training["seconds"] >= 1.2
    est = hbm.amortize.train(steps=300, target=5.0, rng=0, width=16, **SMALL)
    assert est.training["steps"] < 300


def test_the_rate_warms_up_and_decays():
    options = hbm.amortize.TrainingOptions(learning_rate=1.0)
    assert options.rate(0, 0.0) == pytest.approx(0.01)
    assert options.rate(100, 0.5) == pytest.approx(0.5)
    assert options.rate(100, 1.0) == pytest.approx(0.0)


def test_a_loss_that_is_not_finite_stops_and_saves_the_batch(tmp_path, monkeypatch):
    monkeypatch.setenv("HBM_FAST_DEBUG_DIR", str(tmp_path))
    from hbm_fast.amortize.top_down import TopDown

    monkeypatch.setattr(TopDown, "loss", lambda self, batch, progress, generator: batch[2].sum() * float("nan"))
    with pytest.raises(FloatingPointError, match=r"step 0.*hbm-fast-bad-batch-0\.npz"):
        hbm.amortize.train(steps=3, rng=0, **SMALL)
    with np.load(tmp_path / "hbm-fast-bad-batch-0.npz") as saved:
        assert saved["tensor_2"].shape == (256, 2)
        assert np.isfinite(saved["tensor_2"]).all()


def test_the_callers_torch_is_unchanged():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    hbm.amortize.train(steps=3, rng=0, **SMALL)
    assert torch.get_num_threads() == threads
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "options", [{}, {"factorization": "bottom-up"}, {"factorization": "any-k", "categories": (2, 3)}], ids=str
)
def test_networks_resume_bit_for_bit(options, tmp_path):
    options = {"steps": 4, "rng": 0, "width": 16, "batch_size": 32, **options, "n_groups": (1, 3), "totals": (0, 4)}
    whole = hbm.amortize.train(**options)
    hbm.amortize.train(pause_at=3, **options).save(tmp_path / "half")
    rest = hbm.amortize.train(resume=tmp_path / "half", **options)
    torch.testing.assert_close(rest.network.state_dict(), whole.network.state_dict(), rtol=0, atol=0)
    assert whole.metrics == rest.metrics


def test_a_killed_training_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    options = {"steps": 80, "rng": 0, "width": 16, "batch_size": 32, "n_groups": (1, 3), "totals": (0, 4)}
    whole = hbm.amortize.train(**options)
    save, saved = Estimator.save, []

    def killed(self, path):
        save(self, path)
        saved.append(self.state.step)
        if len(saved) == 2:
            raise KeyboardInterrupt

    file = tmp_path / "net.safetensors"
    monkeypatch.setattr(Estimator, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        hbm.amortize.train(checkpoint=file, **options)
    kept = hbm.amortize.load(file)
    assert kept.training["steps"] == saved[-1] < 80
    assert {"kl", "ess_share"} <= kept.metrics.keys()
    assert kept.sample([[3, 0], [0, 1]], n_draws=50, rng=0).alpha.shape == (1, 50)
    monkeypatch.undo()
    rest = hbm.amortize.train(resume=file, checkpoint=file, **options)
    torch.testing.assert_close(rest.network.state_dict(), whole.network.state_dict(), rtol=0, atol=0)
    assert whole.metrics == rest.metrics
