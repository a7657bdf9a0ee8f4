"""The notebooks in this folder run headless, and show what they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NOTEBOOKS = sorted(path.name for path in HERE.glob("*.ipynb"))

pytestmark = [
    # What the kernel's client does at its end is not ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every notebook with its outputs; an error in a cell fails all tests of this module."""
    done = {}
    home = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(variable, str(home))
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("PYTHONWARNINGS", "default")
        patch.setenv("MPLCONFIGDIR", str(home))
        for name in NOTEBOOKS:
            notebook: Any = nbformat.read(HERE / name, as_version=4)  # type: ignore[no-untyped-call]
            NotebookClient(
                notebook,
                timeout=60,
                kernel_name="python3",
                resources={"metadata": {"path": str(home)}},
            ).execute()
            done[name] = notebook
    return done


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def html_of(notebook: Any, last_line: str) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.splitlines()[-1] == last_line:
            return "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
    raise AssertionError(f"no cell ends with {last_line!r}")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_without_a_word_on_its_standard_error(name: str, executed: dict[str, Any]) -> None:
    """R1.5: in a kernel, whose loop is running."""
    said = [output.text for output in outputs(executed[name]) if output.get("name") == "stderr"]
    assert said == []


def test_a_list_of_models_shows_as_a_table(executed: dict[str, Any]) -> None:
    for name, cell in (
        ("sync_client.ipynb", "client.vms.list().all()"),
        ("async_client.ipynb", "await client.vms.list()"),
    ):
        html = html_of(executed[name], cell)
        assert html.startswith("<table>")
        assert "running" in html


def test_a_page_shows_that_more_follow(executed: dict[str, Any]) -> None:
    html = html_of(executed["sync_client.ipynb"], "next(client.vms.list(page_size=2).pages())")
    assert "more follow" in html


def test_a_new_key_shows_masked_in_html_and_in_text(executed: dict[str, Any]) -> None:
    """R4.1, R4.3"""
    cell = 'client.api_keys.create(name="ci-pipeline", scopes=["vms:read"])'
    notebook = executed["sync_client.ipynb"]
    assert "…(sha256:" in html_of(notebook, cell)
    shown = str([output for output in outputs(notebook) if "ci-pipeline" in str(output)])
    assert "Secret" not in shown
    assert "…(sha256:" in shown


def test_a_wait_ends_with_a_full_bar(executed: dict[str, Any]) -> None:
    bars = [
        output.data["text/plain"]
        for output in outputs(executed["sync_client.ipynb"])
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    ]
    assert len(bars) == 1


def test_the_plot_of_daily_costs_is_a_picture(executed: dict[str, Any]) -> None:
    pictures = [
        output for output in outputs(executed["sync_client.ipynb"]) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 1
