"""The first call of a function in a fresh process: processor time and memory, numpy imported.

::

    python -m benchmarks.first_use [--quick] [--markdown FILE]

The library's import is part of it, as of a script that is run once. mtfast loads its compiled
kernels from the disk, where the first run has put them. The thread that calls is timed: for 50 ms
after numpy is imported, a thread of its BLAS waits for work with a whole core.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.libraries import installed
from benchmarks.table import amount, grid, machine

ROUNDS = 5
MODULES = {
    "mtfast": "mtfast.mask",
    "pycocotools": "pycocotools.mask",
    "faster-coco-eval": "faster_coco_eval.core.mask",
    "hotcoco": "hotcoco.mask",
    "ultrafast-pycocotools": "ultrafast_pycocotools.mask",
}
RLE = "{'size': [2, 2], 'counts': b'22'}"
CALLS = {
    "import numpy alone": "pass",
    "area": f"m.area([{RLE}])",
    "toBbox": f"m.toBbox([{RLE}])",
    "iou": f"m.iou([{RLE}], [{RLE}], [0])",
    "merge": f"m.merge([{RLE}, {RLE}])",
    "decode": f"m.decode({RLE})",
    "encode": "m.encode(numpy.zeros((9, 9), 'u1', 'F'))",
    "frPyObjects": "m.frPyObjects([[1.0, 1, 4, 1, 4, 3]], 5, 5)",
}


# Prints seconds, and the peak of the memory in KB where Linux tells it.
SCRIPT = """
import json, numpy, os, re, time
start = time.thread_time()
{}
seconds = time.thread_time() - start
status = open("/proc/self/status").read() if os.path.exists("/proc/self/status") else ""
print(json.dumps([seconds, [int(kb) for kb in re.findall(r"VmHWM:\\s*(\\d+)", status)]]))
"""


def run(name: str, call: str) -> tuple[float, int | None]:
    """Return the seconds of a first call, with the import, and the peak of the memory in bytes."""
    line = "" if call == "pass" else f"import {MODULES[name]} as m\n{call}"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(line)], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, peak = json.loads(done.stdout)
    return seconds, 1024 * peak[0] if peak else None


def measure(rounds: int, names: list[str]) -> Iterator[list[str]]:
    """Measure every call with every library; rows of a table."""
    for title, call in CALLS.items():
        run("mtfast", call)
        taken: dict[str, list] = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                taken[name].append(run(name, call))
        yield [
            title,
            *(amount(median(s for s, _ in found), found[0][1]) for found in taken.values()),
        ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.first_use", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    given = parser.parse_args(arguments)
    names = ["mtfast", *(name for name in installed() if name in MODULES)]
    rows = []
    for row in measure(1 if given.quick else ROUNDS, names):
        rows.append(row)
        print(*row, sep="  ", file=sys.stderr, flush=True)
    headings = [["first call of", *names], ["---", *["---:"] * len(names)]]
    table = f"{grid([*headings, *rows])}\n{machine(('numpy', *names))}\n"
    print(table)
    if given.markdown:
        given.markdown.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
