"""Execute the notebooks of examples/notebooks/ in place: outputs and pictures are kept, times and machines are not.

    python tools/notebooks.py [NOTEBOOK.ipynb ...]

Each runs from top to bottom in a kernel of its own. Exit status 1 where a cell fails or warns; its file then stays
as it was.
"""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "notebooks"
TIMEOUT = 600
"""Seconds for one cell."""
COLOURS = 256
MACHINE = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|work|Users|usr|opt|var|private)\b|[A-Z]:\\Users")
"""What a path of somebody's machine looks like."""
QUIET = {"PYTHONWARNINGS": "ignore:IProgress not found,ignore:Error reading persistent,ignore:Error writing persistent"}
"""tqdm, which NumPyro imports, wants widgets in every notebook; JAX tells of a cache that another process cleans."""
KEPT = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def executed(path: Path) -> Any:
    """The notebook at ``path``, run in its folder. Raises nbclient's CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as settings:
        # neither the settings of whoever runs this nor a GPU have a part in the outputs
        own = {"IPYTHONDIR": settings, "JAX_PLATFORMS": "cpu", "PYDEVD_DISABLE_FILE_VALIDATION": "1"} | QUIET
        client = NotebookClient(
            notebook,
            timeout=TIMEOUT,
            kernel_name="python3",
            # on the loopback of one machine it need not be told that its sockets are plain
            extra_arguments=["--log-level=ERROR"],
            record_timing=False,
            resources={"metadata": {"path": str(path.parent)}},
        )
        client.execute(env=os.environ | own)
    return stripped(notebook)


def stripped(notebook: Any) -> Any:
    """The same notebook without what differs from machine to machine."""
    notebook.metadata = nbformat.from_dict({**KEPT, "language_info": {"name": "python"}})
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place:02d}"
        cell.metadata = nbformat.from_dict({})
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data.pop("text/plain", None)
                data["image/png"] = smaller(data["image/png"])
            if "metadata" in output:
                output["metadata"] = nbformat.from_dict({})
    return notebook


def smaller(png: str) -> str:
    """A picture with 256 colours, which looks the same and takes a third of the bytes, and without metadata."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    stream = io.BytesIO()
    image.quantize(COLOURS).save(stream, format="PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def texts(cell: Any) -> Iterator[str]:
    """Everything that the outputs of a cell say."""
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            yield output.text
        for kind, content in output.get("data", {}).items():
            if kind.startswith("text/"):
                yield content


def pictures(notebook: Any) -> int:
    """How many outputs are figures."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def faults_of(notebook: Any) -> list[str]:
    """What a notebook with outputs should not have: cells not run, errors, warnings, paths of a machine, no figure."""
    faults = []
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    if counts != list(range(1, len(counts) + 1)):
        faults.append("its cells were not run from top to bottom")
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error" or (output.output_type == "stream" and output.name == "stderr"):
                told = output.get("text", "") or output.get("evalue", "")
                faults.append(f"{cell.id}: an error or a warning: {told[:300]}")
        faults += [
            f"{cell.id}: the path of a machine: {found[0]}" for text in texts(cell) if (found := MACHINE.search(text))
        ]
    if not pictures(notebook):
        faults.append("no figure")
    return faults


def main(arguments: list[str] | None = None) -> int:
    """Execute what is asked for, or all; the exit status."""
    asked = [Path(name).resolve() for name in (sys.argv[1:] if arguments is None else arguments)]
    status = 0
    for path in asked or sorted(FOLDER.glob("*.ipynb")):
        began = time.monotonic()
        try:
            notebook = executed(path)
            faults = faults_of(notebook)
        except Exception as error:
            faults = [str(error)]
        for fault in faults:
            print(f"{path.name}: {fault}", file=sys.stderr)
        if faults:
            status = 1
            continue
        nbformat.write(notebook, path)
        size = path.stat().st_size / 1000
        print(f"{path.name}: {time.monotonic() - began:.0f} s, {pictures(notebook)} figures, {size:.0f} kB", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
