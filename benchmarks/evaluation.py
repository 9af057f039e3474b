"""COCOeval on masks: pycocotools as it is, with mtfast.mask installed, and other evaluators.

::

    python -m benchmarks.evaluation [--quick] [--markdown FILE]

Each evaluation runs in a process of its own, in turns; the time is that of the processor from
the JSON files to the statistics, with what is loaded on the way: the least of all rounds, as what
else the machine does only adds to it. A second evaluation in the same process is ``warm``. All
statistics have to agree. mtfast has no evaluator: it makes the mask functions of pycocotools
faster, which take a tenth of the time. The others have evaluators of their own.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import data
from benchmarks.libraries import installed
from benchmarks.table import amount, grid, machine, times
from mtfast import mask

ROUNDS = 7
CROWD_EVERY = 20
SCORES = 1000
GROUND_TRUTH = ("RLE", "polygons")


@dataclass(frozen=True)
class Amount:
    """How many images there are, of which size, and how many masks of each kind one has."""

    images: int
    masks: int
    detections: int
    size: tuple[int, int] = (480, 640)

    @property
    def n_detections(self) -> int:
        """A third of the images has one more."""
        return self.images * self.detections + -(-self.images // 3)


TINY = Amount(3, 2, 3, (60, 80))
FULL = Amount(600, 10, 20)

PYCOCOTOOLS = """
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
"""
EVALUATORS = {
    "pycocotools": PYCOCOTOOLS,
    "pycocotools with mtfast": f"import mtfast.mask\nmtfast.mask.install()\n{PYCOCOTOOLS}",
    "faster-coco-eval": "from faster_coco_eval import COCO, COCOeval_faster as COCOeval\n",
    "hotcoco": "from hotcoco import COCO, COCOeval\n",
    "ultrafast-pycocotools": """
from ultrafast_pycocotools.coco import COCO
from ultrafast_pycocotools.cocoeval import COCOeval
""",
}
# Printed last: the seconds of a first and of a second evaluation, and the statistics.
SCRIPT = """
import contextlib, io, json, sys, time
truth, detections = sys.argv[1:]
def evaluate():
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO(truth)
        evaluation = COCOeval(ground, ground.loadRes(detections), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return time.process_time() - start, [float(value) for value in evaluation.stats]
first, stats = evaluate()
second, again = evaluate()
assert stats == again
print(json.dumps([first, second, stats]))
"""


def files(wanted: Amount, ground_truth: str) -> tuple[Path, Path]:
    """Return a COCO file and one of detections, made from a seed."""
    name = f"evaluation-{wanted.images}-{wanted.masks}-{wanted.detections}-{ground_truth}"
    paths = data.cache() / f"{name}.json", data.cache() / f"{name}-detections.json"
    if not all(path.exists() for path in paths):
        rng = np.random.default_rng(data.SEED)
        truth, detections = _truth(wanted, ground_truth), _detections(wanted, rng)
        for path, content in zip(paths, (truth, detections), strict=True):
            path.write_text(json.dumps(content))
    return paths


def _truth(wanted: Amount, ground_truth: str) -> dict:
    height, width = wanted.size
    n = wanted.images * wanted.masks
    rings = data.rings("flake", wanted.size, n)
    rles = data.masks("flake", wanted.size, n)
    areas, boxes = mask.area(rles).tolist(), mask.toBbox(rles).tolist()
    annotations = [
        {
            "id": k + 1,
            "image_id": k // wanted.masks + 1,
            "category_id": k % data.CLASSES + 1,
            "segmentation": [rings[k]] if ground_truth == "polygons" else _text(rles[k]),
            "area": areas[k],
            "bbox": boxes[k],
            "iscrowd": int(k % CROWD_EVERY == 0 and ground_truth == "RLE"),
        }
        for k in range(n)
    ]
    return {
        "info": {},
        "images": [
            {"id": i + 1, "height": height, "width": width, "file_name": f"{i}.jpg"}
            for i in range(wanted.images)
        ],
        "annotations": annotations,
        "categories": [{"id": c + 1, "name": f"class {c + 1}"} for c in range(data.CLASSES)],
    }


def _detections(wanted: Amount, rng: np.random.Generator) -> list[dict]:
    """Masks of the ground truth, moved by some pixels, and as many that match none."""
    masks = data.masks("flake", wanted.size, wanted.images * wanted.masks, 2)
    others = iter(data.masks("flake", wanted.size, 2 * len(masks))[len(masks) :] * 3)
    found = []
    for i in range(wanted.images):
        mine = masks[i * wanted.masks : (i + 1) * wanted.masks]
        n = wanted.detections + (i % 3 == 0)
        mine = [*mine, *(next(others) for _ in range(n))][:n]
        for k, rle in enumerate(mine):
            category = (i * wanted.masks + k) % data.CLASSES + 1
            score = float(rng.integers(1, SCORES)) / SCORES
            found.append(
                {
                    "image_id": i + 1,
                    "category_id": category,
                    "segmentation": _text(rle),
                    "score": score,
                }
            )
    return found


def _text(rle: dict) -> dict:
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def run(name: str, paths: tuple[Path, Path]) -> tuple[float, float, list[float]]:
    """Return the seconds of a first and of a second evaluation, and the statistics."""
    command = [sys.executable, "-c", EVALUATORS[name] + SCRIPT, *map(str, paths)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    first, second, stats = json.loads(done.stdout.splitlines()[-1])
    return first, second, stats


def measure(wanted: Amount, rounds: int, names: list[str]) -> Iterator[list[str]]:
    """Measure all evaluators on both kinds of ground truth; rows of a table."""
    for ground_truth in GROUND_TRUTH:
        paths = files(wanted, ground_truth)
        for name in names:
            run(name, paths)
        taken: dict[str, list] = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                taken[name].append(run(name, paths))
        stats = taken[names[0]][0][2]
        least = {
            name: [min(runs[k] for runs in found) for k in (0, 1)] for name, found in taken.items()
        }
        for name, (first, second) in least.items():
            differ = np.abs(np.subtract(taken[name][0][2], stats)).max()
            if differ > 1e-12:
                print(f"{name}: statistics differ by {differ:.1e}", file=sys.stderr)
            base = least[names[0]]
            yield [
                f"{wanted.n_detections:,} detections, ground truth as {ground_truth}",
                name,
                f"{amount(first)}, {times(base[0] / first)}",
                f"{amount(second)}, {times(base[1] / second)}",
            ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.evaluation", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    given = parser.parse_args(arguments)
    others = [name for name in installed() if name in EVALUATORS and name != "pycocotools"]
    names = ["pycocotools", "pycocotools with mtfast", *others]
    rows = []
    for row in measure(FULL, 1 if given.quick else ROUNDS, names):
        rows.append(row)
        print(*row, sep="  ", file=sys.stderr, flush=True)
    headings = [["job", "evaluator", "first, processor time", "warm"], ["---", "---", "---", "---"]]
    table = f"{grid([*headings, *rows])}\n{machine(('mtfast', 'numpy', 'pycocotools', *others))}\n"
    print(table)
    if given.markdown:
        given.markdown.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
