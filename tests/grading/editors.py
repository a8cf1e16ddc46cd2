"""A notebook as each editor saves it.

Sources: JupyterLab 4 and Notebook 7 write nbformat 4.5 with the ids of cells; the classic Notebook (6) writes 4.4 and
no ids; VS Code's serializer (extensions/ipynb/src/serializers.ts) sorts the keys, keeps or drops ids with the minor
version, and notes a cell's language; Colab writes minor version 0, its own id in the metadata of each cell, a section
"colab", a kernelspec without language, and no outputs if that is chosen.
"""

import copy
import hashlib
import json
from typing import Any

Json = dict[str, Any]


def lab(notebook: Json) -> bytes:
    """JupyterLab: whole, with ids, one space of indentation."""
    return _written(notebook | {"nbformat_minor": 5}, indent=1)


def classic(notebook: Json) -> bytes:
    """The classic Notebook: 4.4, without ids, with numbers of executions and a section of extensions."""
    old = copy.deepcopy(notebook) | {"nbformat_minor": 4}
    old["metadata"]["toc"] = {"base_numbering": 1, "toc_cell": False}
    for number, cell in enumerate(old["cells"]):
        cell.pop("id", None)
        if cell["cell_type"] == "code":
            cell["execution_count"] = number
            cell["metadata"]["scrolled"] = True
    return _written(old, indent=1)


def vscode(notebook: Json) -> bytes:
    """VS Code: keys sorted, no tags left by older versions, the language of each cell, no ids below 4.5."""
    other = copy.deepcopy(notebook) | {"nbformat_minor": 2}
    other["metadata"] = {
        "kernelspec": {"display_name": ".venv", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "version": "3.11.7"},
        "orig_nbformat": 4,
        "vscode": {"interpreter": {"hash": "0" * 64}},
    }
    for cell in other["cells"]:
        cell.pop("id", None)
        cell["metadata"] = {"vscode": {"languageId": "python"}} if cell["cell_type"] == "code" else {}
    return _written(other, indent=4, sort_keys=True)


def colab(notebook: Json) -> bytes:
    """Colab: its ids in the metadata, a cell with its badge in front, outputs omitted."""
    other = copy.deepcopy(notebook) | {"nbformat_minor": 0}
    other["metadata"] = {
        "colab": {"provenance": [], "toc_visible": True},
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(other["cells"]):
        cell.pop("id", None)
        cell["metadata"] = {"id": hashlib.sha256(str(number).encode()).hexdigest()[:12]}
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
            cell["metadata"]["colab"] = {"base_uri": "https://localhost:8080/"}
            cell["metadata"]["executionInfo"] = {"status": "ok", "elapsed": 3, "user_tz": 0}
    badge = {"cell_type": "markdown", "metadata": {"id": "view-in-github", "colab_type": "text"}, "source": ["Colab"]}
    other["cells"].insert(0, badge)
    return _written(other, indent=2)


EDITORS = {"lab": lab, "classic": classic, "vscode": vscode, "colab": colab}


def _written(notebook: Json, **options: Any) -> bytes:
    """With texts as lists of lines, as all of them store it."""
    stored = copy.deepcopy(notebook)
    for cell in stored["cells"]:
        if isinstance(cell["source"], str):
            cell["source"] = cell["source"].splitlines(keepends=True)
    return (json.dumps(stored, ensure_ascii=False, **options) + "\n").encode()
