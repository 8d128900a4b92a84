"""Objects of other libraries that a numpy function is given by mistake: the message names the integration."""

import ast
import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest

import hbm_fast as hbm
import hbm_fast.integrations

FOLDER = Path(hbm_fast.integrations.__file__).parent
STATISTICS = hbm.SufficientStatistics([[3, 1], [0, 2]])
FUNCTIONS = {
    "concentration": lambda value: hbm.log_likelihood([3, 1], value),
    "its gradient": lambda value: hbm.log_likelihood_gradient([3, 1], value),
    "of statistics": STATISTICS.log_likelihood,
    "counts": lambda value: hbm.log_likelihood(value, [1.0, 2.0]),
    "a table": hbm.tables.as_counts,
    "variates": lambda value: hbm.dirichlet(0, value, 3),
    "beta of a model": lambda value: hbm.HierarchicalModel(2, beta=value),
}
each_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


@each_function
def test_tensors_that_require_grad(function):
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"requires grad .*integrations\.torch_likelihood"):
        function(torch.tensor([1.0, 2.0], requires_grad=True))
    with pytest.raises(TypeError, match=r"requires grad .*integrations\.torch_likelihood"):
        function([torch.tensor(1.0), torch.tensor(2.0, requires_grad=True)])
    function(torch.tensor([1.0, 2.0]))


@pytest.mark.peers
@each_function
def test_tracers(function):
    jax = pytest.importorskip("jax")
    for transform in (jax.jit, jax.grad, jax.vmap):
        with pytest.raises(TypeError, match=r"tracer of JAX .*integrations\.jax"):
            transform(function)(np.array([[1.0, 2.0]]) if transform is jax.vmap else np.array([1.0, 2.0]))
    with pytest.raises(TypeError, match=r"tracer of JAX .*integrations\.jax"):
        jax.jit(lambda x: function([x, 1.0 - x]))(0.5)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@each_function
def test_variables_of_pytensor(function):
    pt = pytest.importorskip("pytensor.tensor")
    with pytest.raises(TypeError, match=r"variable of PyTensor .*integrations\.pymc"):
        function(pt.dvector())
    with pytest.raises(TypeError, match=r"variable of PyTensor .*integrations\.pymc"):
        function([pt.dscalar(), 1.0])


@pytest.mark.peers
def test_arrays_of_jax_are_numbers():
    jnp = pytest.importorskip("jax.numpy")
    assert hbm.log_likelihood(jnp.array([3, 1]), jnp.array([1.0, 2.0])) == hbm.log_likelihood([3, 1], [1.0, 2.0])


@pytest.mark.parametrize("path", [*sorted(FOLDER.glob("[a-z]*.py")), FOLDER / "dask"], ids=lambda path: path.stem)
def test_modules_state_their_names(path):
    """No function of numpy's side leaks out of an integration, by ``import *`` either."""
    source = path / "__init__.py" if path.is_dir() else path
    (names,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    try:
        module = importlib.import_module(f"hbm_fast.integrations.{path.stem}")
    except ImportError as error:
        pytest.skip(str(error))
    imported = {}
    exec(f"from hbm_fast.integrations.{path.stem} import *", imported)
    assert sorted(imported.keys() - {"__builtins__"}) == names == sorted(names)
    for name in names:
        assert imported[name].__module__.startswith(("hbm_fast.integrations", "hbm_fast.posterior")), name
    for name in set(hbm.__all__) & set(dir(module)):  # a function of the same name that computes with numpy
        found = getattr(module, name)
        assert not inspect.isfunction(found) or found.__module__.startswith("hbm_fast.integrations"), name
