"""The guide to tables of counts runs as a notebook, and its plots show there."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "count_tables.md"


@pytest.mark.filterwarnings("default")  # those of Jupyter
@pytest.mark.skipif(not PAGE.exists(), reason="the tests run without the sources, beside an installed wheel")
def test_the_guide_to_tables_is_a_notebook_with_figures(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    for module in ("ipykernel", "matplotlib", "pandas", "scipy"):
        pytest.importorskip(module)
    cells = re.findall(r"^```\{code-cell\}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        shown = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert len(shown) == cell.source.count("hbm.plots."), cell.source
        assert not [output for output in cell.outputs if output.get("name") == "stderr"], cell.source
    assert (tmp_path / "proportions.png").stat().st_size > 5000
