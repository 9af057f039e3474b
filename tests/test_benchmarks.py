"""The benchmarks run; how fast is no test's business."""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
import time
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import benchmarks
import mtfast
import mtfast.mask
from benchmarks import (
    chart,
    contours,
    data,
    evaluation,
    export,
    few,
    first_use,
    jobs,
    libraries,
    loaders,
    mask,
    measuring,
    peers,
    ratios,
    remote_store,
    scaling,
    scheduling,
    startup,
    table,
)
from mtfast import parallel

MODULES = [m.name for m in pkgutil.iter_modules(benchmarks.__path__, "benchmarks.")]
CLASSES = [
    pytest.param(value, id=f"{name.rpartition('.')[2]}.{value.__name__}")
    for name in MODULES
    for _, value in inspect.getmembers(import_module(name), inspect.isclass)
    if value.__module__ == name
    and any(method.startswith(("time_", "peakmem_")) for method in vars(value))
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("benchmarks")


@pytest.fixture(autouse=True)
def tiny(cache, monkeypatch):
    monkeypatch.setenv("MTFAST_BENCH_CACHE", str(cache))
    monkeypatch.setattr(data, "scale", data.TINY)
    monkeypatch.setattr(startup, "KERNELS", ["mtfast.kernels.rle.coco_string"])
    monkeypatch.setattr(startup, "CALLS", dict.fromkeys(startup.CALLS, "import mtfast"))
    monkeypatch.setattr(peers, "TURN_SECONDS", 0)
    # A process takes a second to start.
    monkeypatch.setattr(jobs, "WORKERS", 1)


@pytest.fixture
def in_this_process(monkeypatch):
    """Run the jobs of ``in_fresh_process``, whose own test is below, with no seconds of imports."""

    def run(job: str, *arguments: object) -> measuring.Usage:
        imports, _, line = job.rpartition("---\n")
        names = {"sys": sys, "a": [*map(str, arguments)]}
        exec(imports, names)
        start = time.perf_counter()
        exec(line, names)
        return measuring.Usage(time.perf_counter() - start, None)

    for module in (export, ratios, scaling):
        monkeypatch.setattr(module, "in_fresh_process", run)


@pytest.mark.parametrize("benchmark", CLASSES)
def test_benchmark_runs(benchmark, cache):
    missing, ran = "", False
    for arguments in _arguments(getattr(benchmark, "params", ())):
        instance = benchmark()
        try:
            instance.setup(*arguments) if hasattr(instance, "setup") else None
        except NotImplementedError as error:
            missing = str(error)
            continue
        for name in vars(benchmark):
            if name.startswith(("time_", "peakmem_")):
                getattr(instance, name)(*arguments)
        if hasattr(instance, "teardown"):
            instance.teardown(*arguments)
        ran = True
    assert not list(cache.glob("scratch-*"))
    if not ran:
        pytest.skip(missing)


def _arguments(params):
    """Combine parameters as asv does: one list of values, or a list for each parameter."""
    several = params and isinstance(params[0], list | tuple)
    return product(*(params if several else [params] if params else []))


def test_every_room_has_benchmarks():
    rooms = {parameter.values[0].__module__.rpartition(".")[2] for parameter in CLASSES}
    assert rooms == {"export", "jobs", "kernels", "mask", "sources", "startup", "store", "synth"}


def test_every_mask_operation_is_timed():
    timed = {name.partition(",")[0] for name in mask.OPERATIONS}
    assert timed == set(mtfast.mask.__all__) - {"Polygon", "install", "uninstall"}


@pytest.mark.parametrize("call", startup.CALLS.values(), ids=startup.CALLS)
def test_first_calls_are_right(call):
    exec(call, {})


@pytest.mark.parametrize(("kind", "share"), [("blob", 0.5), ("specks", 0.019), ("noise", 0.5)])
def test_masks_are_as_dense_as_they_say(kind, share):
    size = data.SUITE.frames[0]
    first, second = (mtfast.mask.decode(rle) for rle in data.masks(kind, size, 2))
    assert first.mean() == pytest.approx(share, rel=0.05)
    assert not np.array_equal(first, second)


def test_peers_are_compared_and_timed(tmp_path):
    names = libraries.installed()
    assert "pycocotools" in names
    rows = list(peers.measure(data.TINY, 1, names))
    small, large = ([row for size, row in rows if size == frame] for frame in data.TINY.frames)
    assert [row.job for row in small] == [row.job for row in large]
    assert len({row.job for row in large}) == len(large) >= 30
    assert not any(row.goals for row in small)
    assert all(row.ours > 0 and all(s > 0 for s in row.peers.values()) for row in large)
    text = peers.markdown(rows, names)
    assert all(version in text for version in ("24 x 32", "60 x 96", "pycocotools 2"))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {5 + len(names)}
    assert len(lines) == len(rows) + 2 * len(dict(rows))
    assert re.search(r"\d+ of \d+ rows are no slower than pycocotools", text)
    assert re.search(r"[✓✗] 300x pycocotools", text)


def test_picture_of_the_ratios(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is in the group 'bench'")
    rows = [table.PeerRow("decode", 1e-3, {"pycocotools": 5e-3, "rlemasklib": 1e-3}, {})]
    chart.draw(rows, ["pycocotools", "rlemasklib"], (480, 640), tmp_path / "peers.png")
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("call", first_use.CALLS.values(), ids=first_use.CALLS)
def test_first_uses_are_measured(call):
    for name in ("mtfast", "pycocotools"):
        seconds, peak = first_use.run(name, call)
        assert seconds >= 0
        assert peak is None or peak > 10**6


def test_rows_that_are_no_slower_are_counted():
    def row(**peers: float) -> table.PeerRow:
        return table.PeerRow("area", 1.0, peers, {})

    rows = [row(pycocotools=2, hotcoco=1.5), row(pycocotools=1.1, hotcoco=0.5), row(hotcoco=0.9)]
    assert peers.counted(rows) == (
        "2 of 2 rows are no slower than pycocotools, "
        "1 of 3 rows are no slower than the fastest peer.\n"
    )


def test_row_of_peers():
    row = table.PeerRow(
        "decode",
        1e-3,
        {"pycocotools": 25e-3, "rlemasklib": 0.9e-3},
        {"pycocotools": 20, "rlemasklib": 1.1, "hotcoco": 2, table.FASTEST: 1, table.FILLING: 0.5},
        0.8e-3,
    )
    assert row.cells(["pycocotools", "hotcoco", "rlemasklib"]) == [
        "decode",
        "1 ms",
        "25x",
        "-",
        "0.90x",
        "rlemasklib",
        "✓ 20x pycocotools, ✗ 1.1x rlemasklib, ✗ 1x fastest (0.90x), "
        "✓ 0.5x filling the frame (0.80x)",
    ]


def test_few_masks_are_measured():
    names = [name for name in libraries.installed() if name not in few.SLOW_PEERS]
    rows = [
        (name, few.cells(name, seconds, names))
        for name, seconds in few.measure((60, 96), few.TINY, 1, names)
    ]
    assert [name for name, _ in rows[:2]] == ["area, 1", "area, 2"]
    assert len(rows) == 6 * len(few.TINY) + 6
    assert all(len(cells) == len(names) + 4 for _, cells in rows)


@pytest.mark.parametrize("ground_truth", evaluation.GROUND_TRUTH)
def test_evaluations_agree(ground_truth):
    paths = evaluation.files(evaluation.TINY, ground_truth)
    found = [evaluation.run(name, paths) for name in list(evaluation.EVALUATORS)[:2]]
    assert found[0][2] == pytest.approx(found[1][2], abs=1e-12)
    assert 0 < found[0][2][0] < 1
    assert min(found[0][:2]) > 0


def test_answers_that_differ_are_found():
    a, b = {"size": [2, 2], "counts": b"22"}, {"size": (2, 2), "counts": b"22"}
    assert peers.same([a], [b])
    assert not peers.same([a], [{**b, "counts": b"4"}])
    assert not peers.same([a], [a, a])
    pixels = np.eye(3, dtype=np.uint8)
    assert peers.same(pixels, pixels.copy())
    assert not peers.same(pixels, np.asfortranarray(pixels))
    assert not peers.same(pixels, 1 - pixels)
    third = np.array([1 / 3])
    assert peers.same(third, third.astype(np.float32))
    assert not peers.same(third, third + 1e-7)
    wrong = peers.Job("area", "area", [([a],)] * 3)
    with pytest.raises(SystemExit, match="area, input 0: mtfast and naive differ"):
        peers.compare(wrong, lambda rles: 4, {"naive": lambda rles: 3})


def test_every_call_gets_a_copy():
    masks = data.masks("flake", (24, 32), 2)
    job = peers.Job("paint", "paint", [([masks[0]],), ([masks[1]],)], frame=(24, 32))
    make = peers.maker(job.inputs, job.frame)
    (first, frame), (again, same_frame) = make(0), make(2)
    assert frame is same_frame
    assert first == again == [masks[0]]
    assert first[0]["counts"] is not again[0]["counts"] is not masks[0]["counts"]
    (table,) = peers.maker([(data.table_of(masks),)], None)(0)
    assert np.array_equal(table.area(), mtfast.mask.area(masks))


def test_ratios_are_measured_and_laid_out(cache, in_this_process, tmp_path):
    pytest.importorskip("cv2", reason="OpenCV is in the group 'bench'")
    rows = list(ratios.measure(data.TINY, 1))
    assert len({(row.job, row.baseline) for row in rows}) == len(rows) >= 11
    assert all(
        row.ours > 0 and (row.baseline_seconds is None or row.baseline_seconds > 0) for row in rows
    )
    lines, _, rest = table.markdown(rows).partition("\n\n")
    assert {line.count("|") for line in lines.splitlines()} == {5}
    assert len(lines.splitlines()) == len(rows) + 2
    assert "zarr" in rest
    assert not list(cache.glob("scratch-*"))
    pytest.importorskip("matplotlib", reason="matplotlib is in the group 'bench'")
    chart.draw_showcase(rows, *ratios.showcase(data.TINY), tmp_path / "showcase.png")
    with Image.open(tmp_path / "showcase.png") as picture:
        assert picture.size == (1344, 896)


def test_masks_are_measured(cache, in_this_process):
    pytest.importorskip("cv2", reason="OpenCV is in the group 'bench'")
    rows = list(export.measure(export.TINY))
    assert len({row.job for row in rows}) == len(rows) == 9
    assert all(row.ours > 0 for row in rows)
    table = mtfast.open_source(export.write_coco(12, export.TINY.size)).table(
        "train", "annotations"
    )
    assert table.n_images == 12
    assert export.table_bytes(12, export.TINY.size) > table.rle.nbytes
    assert not list(cache.glob("scratch-*"))


def test_stages_of_larger_sets_are_measured(cache, in_this_process):
    measured = [scaling.measure(n, scaling.TINY.size) for n in scaling.TINY.images]
    files = scaling.measure_files(scaling.TINY.files, scaling.TINY.size)
    assert [m.images for m in measured] == list(scaling.TINY.images)
    assert all(m.instances > 0 and all(m.sizes.values()) for m in measured)
    assert files.sizes["image files"] > files.sizes["crop index"] > 0
    text = scaling.lay_out(measured, files)
    assert all(f"| {job} |" in text for job in (*scaling.JOBS, *scaling.FILES))
    table = mtfast.open_source(scaling.make_coco(20, scaling.TINY.size)).table(
        "train", "annotations"
    )
    assert (table.n_images, table.n_instances) == (20, measured[1].instances)
    assert not list(cache.glob("scratch-*"))


def test_jobs_are_measured():
    rows = list(jobs.measure(jobs.TINY))
    assert len({row.job for row in rows}) == len(rows) == 4
    assert all(row.ours > 0 and row.baseline_seconds > 0 for row in rows)


def test_polygons_are_measured(cache, capsys):
    pytest.importorskip("cv2", reason="OpenCV is in the group 'bench'")
    contours.main(["--quick"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) == 8
    assert all(row.count("|") == 8 for row in rows)


def test_scheduling_is_measured(monkeypatch):
    pytest.importorskip("distributed", reason="Dask's clusters are the extra 'distributed'")
    monkeypatch.setattr(parallel, "MOST_PER_TASK", parallel.MOST_PER_TASK)
    kinds = {(case.scheduler, case.own_tasks) for case in scheduling.cases((5,), 5)}
    assert kinds == {*product(scheduling.SCHEDULERS, (False, True))}
    case = scheduling.Case("cluster", 5, own_tasks=True, n_bytes=10)
    with scheduling.cluster(1) as address:
        cost = scheduling.run(case, address)
    assert cost.n_tasks == 5
    assert cost.seconds > 0
    assert scheduling.row(case, cost)[:3] == ("cluster", "5", "5 of their own, 10 B each")


def test_loaders_are_measured(tmp_path):
    pytest.importorskip("cv2", reason="OpenCV is in the group 'bench'")
    store = mtfast.convert(data.jpeg_set(data.TINY), tmp_path / "s.zarr", splits=["train"])
    rows = list(loaders.measure(store, tmp_path / "peers", 5, (48, 32), ()))
    assert len({(row.job, row.baseline) for row in rows}) == len(rows) == 6
    assert all(row.ours > 0 and row.baseline_seconds > 0 for row in rows)


def test_worker_processes_are_measured(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
    store = mtfast.convert(data.jpeg_set(data.TINY), tmp_path / "s.zarr", splits=["train"])
    (row,) = loaders.worker_processes(store, 48)
    assert row.job == "48 px window, wall time, two worker processes"
    assert row.ours > 0
    assert row.baseline_seconds > 0


def test_work_on_a_gpu_is_measured(cache, tmp_path, capsys):
    pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
    from benchmarks.gpu import run

    file = tmp_path / "gpu.md"
    run.main(["--device", "cpu", "--markdown", str(file)])
    text = file.read_text(encoding="utf-8")
    assert text == capsys.readouterr().out
    exact, _, rest = text.partition("**Rates")
    assert exact.count(" 0 differ | ✓ |") == 29
    titles = ("Kernels", "Planning", "Worker processes", "Masks", "Training", "Spacing of entries")
    assert all(f"**{title}**" in rest for title in titles)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {6}
    assert not list(cache.glob("scratch-*"))


def test_tensors_that_differ_are_found(monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
    from benchmarks.gpu import exactness

    one = {"name": ["a"], "image": torch.zeros(2, 3), "masks": [torch.zeros(2), torch.ones(1)]}
    for key, other, n in (
        ("name", ["b"], 1),
        ("image", torch.ones(2, 3), 1),
        ("image", torch.zeros(3, 2).T, 1),
        ("image", torch.zeros(2, 3, dtype=torch.int32), 1),
        ("masks", [torch.zeros(2)], 1),
        ("masks", [torch.ones(2), torch.zeros(1)], 2),
        ("name", ["a"], 0),
    ):
        assert exactness.differences([one], [one | {key: other}])[1] == n
    assert exactness.differences([one], []) == (1, 1)
    assert exactness.differences([one], [{}]) == (1, 1)


def test_table():
    rows = [
        table.Row("paint", 65e-6, "loop", 16.8e-3),
        table.Row("parse", 1.7, "json", 3.4, 572_000_000),
        table.Row("look", 3e-6),
    ]
    assert [row.cells() for row in rows] == [
        ("paint", "65 µs", "16.8 ms (loop)", "258x"),
        ("parse", "1.7 s, 572 MB", "3.4 s (json)", "2.0x"),
        ("look", "3 µs", "-", ""),
    ]


def test_jobs_take_turns():
    calls: list[tuple[str, int]] = []
    jobs = [lambda k, job=job: calls.append((job, k)) for job in "ab"]
    assert len(measuring.race(jobs, 1, turn=2)) == 2
    assert calls == [(job, k) for start in (0, 2) for job in "ab" for k in (start, start + 1)]


def test_the_calmest_turn_is_taken(monkeypatch):
    times = iter([0, 9, 9, 18, 20, 21, 22, 30, 40, 44, 50, 53])
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(times))
    # Turns of two calls: a first one that warms up, 1 and 8 seconds, 4 and 3.
    assert measuring.race([lambda k: None], 2, turn=2, calmest=True) == [3.5]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_memory_of_a_process_and_its_children():
    child = "import time; data = b'x' * 10**8; time.sleep(0.3)"
    job = "import subprocess\n---\nsubprocess.run([sys.executable, '-c', a[0]], check=True)"
    usage = measuring.in_fresh_process(job, child)
    assert usage.seconds > 0.3
    assert usage.peak_bytes is not None
    assert 1e8 < usage.peak_bytes < 3e8


def test_the_costs_of_a_store_on_a_server(capsys):
    pytest.importorskip("torch")
    pytest.importorskip("obstore")
    options = ["--images", "8", "--height", "96", "--rounds", "1", "--latency", "0.001"]
    remote_store.main([*options, "--batch", "4"])
    printed = capsys.readouterr().out
    assert re.search(r"^server  image file .* 0\.88 requests", printed, re.MULTILINE)
    assert re.search(r"^workers=threads:2: \d+ samples/s of the folder", printed, re.MULTILINE)
