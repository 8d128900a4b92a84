"""Functions of a HierarchicalModel refuse models of other classes by name, and do not take them for one."""

import importlib

import pytest

import hbm_fast as hbm

BAGS = [[3, 1], [0, 4], [2, 2]]
SIZES = {"n_groups": 2, "totals": 3}
FUNCTIONS = {
    "exact_posterior": lambda model: hbm.exact_posterior(BAGS, model),
    "train": lambda model: hbm.amortize.train(model, steps=1),
    "simulation_based_calibration": lambda model: hbm.calibration.simulation_based_calibration(
        lambda counts: None, model, 2, **SIZES
    ),
    "SimulationStream": lambda model: importlib.import_module("hbm_fast.integrations.torch").SimulationStream(
        model, 4, **SIZES
    ),
    "embedding.train": lambda model: hbm.embedding.train(2, 1, model=model, steps=1, **SIZES),
}
OTHERS = [hbm.MixtureModel(2, n_components=2), hbm.RegressionModel(2), "HierarchicalModel", hbm.HierarchicalModel]


@pytest.mark.parametrize("model", OTHERS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_other_classes_are_refused(name, model):
    if name in ("train", "SimulationStream", "embedding.train"):
        pytest.importorskip("torch")
        pytest.importorskip("zuko")
    with pytest.raises(TypeError, match=f"model must be a HierarchicalModel, the only one that {name} takes; got"):
        FUNCTIONS[name](model)


@pytest.mark.parametrize("model", [None, "HierarchicalModel", hbm.MixtureModel])
def test_simulate_names_its_models(model):
    with pytest.raises(TypeError, match="a MixtureModel, a PopulationModel or a RegressionModel; got"):
        hbm.simulate(model, 2, **SIZES)


def test_functions_without_further_keywords_say_so():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'data'$"):
        hbm.sample(BAGS, hbm.HierarchicalModel(2), data=[1, 2, 3])
