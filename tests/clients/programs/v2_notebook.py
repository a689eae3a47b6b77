"""Execute a notebook from its first cell to its last, as a person would with "Run all"."""

import sys

import nbformat
import outside
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
outputs = {
    cell["id"]: "".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for output in cell["outputs"]
    )
    for cell in notebook.cells
    if cell["cell_type"] == "code"
}
kinds = sorted(
    {
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        for kind in output.get("data", ())
    }
)
outside.tell(outputs=outputs, kinds=kinds)
