"""Networks as modules of torch: features and parameters, torch.export and ONNX, devices, history, files without it."""

import copy

import numpy as np
import pytest

import hbm_fast as hbm

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hbm_fast import embedding  # noqa: E402
from hbm_fast.nn.draws import generator  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:the network's own draws are not calibrated")  # after so few steps

BAGS = np.array([[[4, 0, 1], [0, 3, 2], [2, 2, 0]], [[0, 0, 0], [1, 0, 0], [0, 0, 5]]])
SMALL = {"n_groups": (1, 3), "totals": (0, 5), "steps": 2, "rng": 0, "batch_size": 32, "width": 16}


def deepsets():
    return hbm.amortize.train(hbm.HierarchicalModel(3), encoder="deepsets", **SMALL)


NETWORKS = {
    "top-down": lambda: hbm.amortize.load("marbles"),
    "DeepSets": deepsets,
    "any-k": lambda: hbm.amortize.load("any-k"),
    "embedding": lambda: embedding.load("marbles"),
}
OTHERS = {
    "bottom-up": lambda: hbm.amortize.load("marbles-bottom-up"),
    "shared='dataset'": lambda: embedding.train(
        data=BAGS[[0, 0, 0]], shared="dataset", dim=1, steps=1, inference_steps=1, n_simulated=64, rng=0
    ),
}


@pytest.fixture(scope="module", params=NETWORKS)
def net(request):
    return NETWORKS[request.param]()


def bags_of(net):
    return BAGS if net.model is None or net.model.n_categories == 3 else BAGS[..., :2]


@pytest.fixture(scope="module")
def trained():
    seen = []
    net = hbm.amortize.train(**SMALL, callback=lambda step, metrics: seen.append((step, metrics)))
    return net, seen


# features and parameters ---------------------------------------------------------------------------------------------
def test_the_parameters_are_those_of_the_draws():
    emb, key = embedding.load("marbles"), np.array([3, 4], dtype=np.uint64)
    with torch.no_grad():
        z = emb.network.head.sample(emb.network(emb.features(BAGS[..., :2])), 50, generator(key))
    expected = emb.sample(BAGS[..., :2], n_draws=50, rng=key, correct=False).z[:, 0]
    np.testing.assert_array_equal(z.double().numpy(), expected)


def test_features_of_one_dataset_of_a_list_and_of_a_table(net):
    bags = bags_of(net)
    features = net.features(bags)
    assert (features.dtype, features.device, features.shape[0]) == (torch.float32, net.device, 2)
    for again in (net.features(list(bags)), torch.cat([net.features(bags[:1]), net.features(bags[1])])):
        torch.testing.assert_close(again, features, rtol=0, atol=0)
    assert net.network(features).shape[0] == 2


def test_counts_outside_the_range_have_no_features(net):
    with pytest.raises(ValueError, match=r"categories"):
        net.features(np.ones((2, 11), dtype=int))
    with pytest.raises(ValueError, match="counts must hold at least one dataset"):
        net.features(np.asarray(bags_of(net))[:0])
    with pytest.raises(ValueError, match=r"total.*the features are those of its range"):
        net.features(np.full_like(bags_of(net)[0], 60))


@pytest.mark.filterwarnings("ignore:.*datasets to learn from")
@pytest.mark.parametrize("name", OTHERS)
def test_networks_that_are_not_one_function_of_features_are_named(name):
    other = OTHERS[name]()
    for call in (
        lambda: other.features([[1, 0]]),
        lambda: other.to("cpu"),
        lambda: other.network(torch.zeros(1, 4)),
        lambda: torch.export.export(other.network, (torch.zeros(1, 4),)),
    ):
        with pytest.raises(NotImplementedError, match=rf"is for top-down and any-k networks .*{name}"):
            call()
    assert other.device == torch.device("cpu")


# torch.export and ONNX -----------------------------------------------------------------------------------------------
def exported_numbers(net):
    """Features, three datasets of them, the parameters, and the axis that may change."""
    features = net.features(bags_of(net))
    more = torch.cat([features, features[:1]])
    return features, more, net.network(more), {"features": {0: torch.export.Dim("datasets")}}


def test_torch_export_gives_the_same_numbers_for_any_number_of_datasets(net):
    features, more, expected, axes = exported_numbers(net)
    program = torch.export.export(net.network, (features,), dynamic_shapes=axes)
    torch.testing.assert_close(program.module()(more), expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["top-down", "any-k"])
def test_onnx_gives_the_same_numbers(tmp_path, name):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    features, more, expected, axes = exported_numbers(net := NETWORKS[name]())
    program = torch.onnx.export(net.network, (features,), dynamo=True, dynamic_shapes=axes, verbose=False)
    program.save(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: more.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-5, atol=2e-5)


# devices -------------------------------------------------------------------------------------------------------------
def test_to_moves_the_network_in_place_and_returns_it(net):
    assert net.to("cpu") is net
    assert net.to(torch.device("cpu")).device == torch.device("cpu")
    elsewhere = copy.deepcopy(net.network).to("meta")  # a device without numbers: nothing is mixed with the CPU
    assert elsewhere(net.features(bags_of(net)).to("meta")).device.type == "meta"
    for device in ("meta", "gpu", None):
        with pytest.raises(ValueError, match='device must be "cpu" or "cuda"'):
            net.to(device)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="torch sees no GPU"):
            net.to("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_draws_of_a_gpu_are_those_of_the_cpu(net):
    on_cpu = [net.sample(bags_of(net), n_draws=100, rng=1, correct=correct) for correct in (False, True)]
    moved = copy.deepcopy(net).to("cuda")
    on_gpu = [moved.sample(bags_of(net), n_draws=100, rng=1, correct=correct) for correct in (False, True)]
    for one, two in zip(on_cpu, on_gpu, strict=True):
        assert np.mean(np.isclose(one.log_alpha, two.log_alpha, rtol=1e-3, atol=1e-3)) > 0.95


# the training's history and files ------------------------------------------------------------------------------------
def test_history_has_what_the_callback_was_given(trained):
    net, seen = trained
    frame = net.history
    assert frame.index.name == "step"
    assert frame.index.tolist() == [step for step, _ in seen]
    assert [{"step": float(step), **row} for step, row in frame.to_dict("index").items()] == [m for _, m in seen]
    assert {"seconds", "loss", "kl", "ess_share"} <= set(frame.columns)


def test_a_file_for_inference_only_is_smaller_and_draws_the_same(trained, tmp_path):
    net, _ = trained
    whole, small = tmp_path / "whole.safetensors", tmp_path / "small.safetensors"
    net.save(whole)
    net.save(small, inference_only=True)
    assert 2 * small.stat().st_size < whole.stat().st_size
    again = hbm.amortize.load(small)
    assert (again.state, again.metrics, len(again.history)) == (None, net.metrics, 0)
    pandas = pytest.importorskip("pandas")
    pandas.testing.assert_frame_equal(hbm.amortize.load(whole).history, net.history)
    draws = [each.sample(BAGS[..., :2], n_draws=20, rng=1, correct=False).log_alpha for each in (net, again)]
    np.testing.assert_array_equal(*draws)
    with pytest.raises(ValueError, match="saved without the state of its training"):
        hbm.amortize.train(resume=small, steps=3)
    hbm.amortize.train(init_from=small, steps=1, batch_size=32)


# misspelt and misplaced arguments ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hbm.amortize.TrainingOptions(stpes=3), "TrainingOptions .*'stpes'; did you mean 'steps'"),
        (lambda: hbm.amortize.load(pth="marbles"), "load .*'pth'; did you mean 'path'"),
        (lambda: embedding.load("marbles", map_location="cpu"), "'map_location'; it takes path"),
        (lambda: hbm.amortize.train(calback=print), "train .*'calback'; did you mean 'callback'"),
        (lambda: embedding.train(data=BAGS, shared="dataset", step=3), "train .*'step'; did you mean 'steps'"),
        (lambda: hbm.amortize.train(steps=1, widht=16), "'widht'; did you mean 'width'"),
        (lambda: hbm.amortize.train(step=1), "'step'; did you mean 'steps'"),
        (lambda: hbm.amortize.train(steps=1, data=[[[1, 2]]]), r"embedding\.train\(data="),
        (lambda: embedding.train(steps=1, encoder_with=16), "'encoder_with'; did you mean 'encoder_width'"),
        (lambda: hbm.amortize.train(np.array([[1, 2]])), "model must be a HierarchicalModel"),
    ],
)
def test_misspelt_and_misplaced_arguments_are_named_with_the_most_similar(call, message):
    with pytest.raises(TypeError, match=message):
        call()
