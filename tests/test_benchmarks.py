"""The benchmarks run; how fast is no test's business."""

from __future__ import annotations

import inspect
import pkgutil
import sys
from importlib import import_module
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import benchmarks
from benchmarks import data, measuring, ratios, table

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
    monkeypatch.setattr("benchmarks.startup.KERNELS", ["coco_string"])


@pytest.mark.parametrize("benchmark", CLASSES)
def test_benchmark_runs(benchmark, cache):
    for parameter in getattr(benchmark, "params", [None]):
        arguments = () if parameter is None else (parameter,)
        instance = benchmark()
        try:
            instance.setup(*arguments) if hasattr(instance, "setup") else None
        except NotImplementedError as error:
            pytest.skip(str(error))
        for name in vars(benchmark):
            if name.startswith(("time_", "peakmem_")):
                getattr(instance, name)(*arguments)
        if hasattr(instance, "teardown"):
            instance.teardown(*arguments)
    assert not list(cache.glob("scratch-*"))


def test_every_room_has_benchmarks():
    rooms = {parameter.values[0].__module__.rpartition(".")[2] for parameter in CLASSES}
    assert rooms == {"kernels", "sources", "startup", "store", "synth"}


def test_ratios_are_measured_and_laid_out(cache):
    pytest.importorskip("cv2", reason="OpenCV is in the group 'bench'")
    rows = list(ratios.measure(data.TINY, 1))
    assert len({(row.job, row.way) for row in rows}) == len(rows) >= 11
    assert all(row.ours > 0 and (row.ordinary is None or row.ordinary > 0) for row in rows)
    lines, _, rest = table.markdown(rows).partition("\n\n")
    assert {line.count("|") for line in lines.splitlines()} == {5}
    assert len(lines.splitlines()) == len(rows) + 2
    assert "zarr" in rest
    assert not list(cache.glob("scratch-*"))


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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_memory_of_a_process_and_its_children():
    child = "import time; data = b'x' * 10**8; time.sleep(0.3)"
    job = "import subprocess\n---\nsubprocess.run([sys.executable, '-c', a[0]], check=True)"
    usage = measuring.in_fresh_process(job, child)
    assert usage.seconds > 0.3
    assert usage.peak_bytes is not None
    assert 1e8 < usage.peak_bytes < 3e8
