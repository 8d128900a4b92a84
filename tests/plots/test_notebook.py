"""The notebook of the guide: every cell runs in a fresh kernel, and every plot shows once, without further commands."""

import re
from pathlib import Path

import pytest

import hbm_fast as hbm

pytest.importorskip("matplotlib")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

NOTEBOOK = Path(__file__).parents[2] / "docs" / "guide" / "figures.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    if not NOTEBOOK.exists():
        pytest.skip("the tests run without the documents")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "docs/guide/figures.ipynb is stored without outputs"
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path_factory.mktemp("guide")}}
    )
    client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_every_plot_shows_once(cells):
    source = "\n".join(cell.source for cell in cells)
    assert "%matplotlib" not in source
    assert set(re.findall(r"hbm\.plots\.(\w+)", source)) == set(hbm.plots.__all__)
    for cell in cells:
        images = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert len(images) == (re.match(r"hbm\.plots\.", cell.source.splitlines()[-1]) is not None), cell.source


def test_nothing_is_printed_to_stderr(cells):
    assert [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"] == []
