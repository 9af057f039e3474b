"""Independent jobs: the window slides, errors come through, and nothing runs afterwards."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path

import dask
import pytest
from dask.callbacks import Callback

import mtfast.cluster
from mtfast import parallel
from mtfast.errors import MtfastError, SourceError
from mtfast.parallel import run_jobs

# A job that waits for another one gives up after this and fails its test.
PATIENCE = 60


def square(number):
    return number * number


def run_all(function, jobs, scheduler="threads", between=lambda: None):
    """Return all results; call something after the first one."""
    with run_jobs(function, jobs, "job", scheduler, 2) as results:
        found = list(islice(results, 1))
        between()
        return found + list(results)


class Lookups:
    """A sequence of numbers that knows up to where it has been looked up."""

    def __init__(self, n):
        self.n, self.n_looked_up = n, 0

    def __len__(self):
        return self.n

    def __getitem__(self, number):
        self.n_looked_up = max(self.n_looked_up, number + 1)
        return number


@pytest.fixture(autouse=True)
def no_threads_left():
    before = set(threading.enumerate())
    yield
    # Those of a cluster's client are Dask's, and stay.
    left = {t.name for t in threading.enumerate() if t not in before and "Pool" in t.name}
    assert not left


@pytest.fixture
def keys():
    """The names of the tasks that Dask starts on this machine."""
    found = []
    with Callback(pretask=lambda key, graph, state: found.append(key)):
        yield found


# --- results


@pytest.mark.parametrize("n", [0, 1, 2, 300])
@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_every_job_once(scheduler, n):
    assert sorted(run_all(square, range(n), scheduler)) == [(k, k * k) for k in range(n)]


def test_one_by_one_is_in_order():
    assert [number for number, _ in run_all(square, range(300), "sync")] == list(range(300))


def test_the_default_number_of_workers():
    with run_jobs(square, range(3)) as results:
        assert dict(results) == {0: 0, 1: 1, 2: 4}


def test_workers_are_checked():
    run = run_jobs(square, [1], workers=0)
    with pytest.raises(MtfastError, match="0 workers; expected at least 1"), run:
        pass


# --- the window


def first_waits_for_the_300th(job):
    number, event = job
    if number == 0:
        return event.wait(PATIENCE)
    if number == 300:
        event.set()
    return True


def test_a_slow_job_holds_no_other_up():
    event = threading.Event()
    jobs = [(number, event) for number in range(310)]
    assert all(in_time for _, in_time in run_all(first_waits_for_the_300th, jobs))


def first_reads_what_the_300th_writes(job):
    number, pipe = job
    if number == 0:
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        ready, _, _ = select.select([reader], [], [], PATIENCE)
        os.close(reader)
        return bool(ready)
    if number == 300:
        writer = os.open(pipe, os.O_WRONLY)
        os.write(writer, b"!")
        os.close(writer)
    return True


@pytest.fixture
def jobs_with_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # What is written stays in it until somebody reads.
    kept_open = os.open(pipe, os.O_RDWR)
    yield [(number, pipe) for number in range(310)]
    os.close(kept_open)


def test_a_slow_job_holds_no_other_process_up(jobs_with_a_pipe):
    found = run_all(first_reads_what_the_300th_writes, jobs_with_a_pipe, "processes")
    assert all(in_time for _, in_time in found)


def wait_for(event):
    return event is None or event.wait(PATIENCE)


def test_results_come_in_order_of_completion():
    event = threading.Event()
    with run_jobs(wait_for, [event, None], workers=2) as results:
        assert next(results) == (1, True)
        event.set()
        assert next(results) == (0, True)


def meet(barrier):
    barrier.wait(PATIENCE)


def test_as_many_run_at_once_as_there_are_workers():
    barrier = threading.Barrier(3)
    with run_jobs(meet, [barrier] * 3, workers=3) as results:
        assert len(list(results)) == 3


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_a_slow_reader_holds_the_jobs_up(scheduler):
    jobs = Lookups(20_000)
    with run_jobs(square, jobs, scheduler=scheduler, workers=2) as results:
        next(results)
        assert jobs.n_looked_up <= 2 * parallel.AHEAD
        most = 2 * parallel.AHEAD * parallel.MOST_PER_TASK
        for n_taken, _ in enumerate(results, 2):
            assert jobs.n_looked_up - n_taken < most
    assert jobs.n_looked_up == len(jobs)


# --- tasks


class Clock:
    """Time that passes when a job says so."""

    now = 0.0

    def perf_counter(self):
        return self.now

    def take(self, seconds):
        self.now += seconds
        return seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(parallel.time, "perf_counter", clock.perf_counter)
    return clock


def first_jobs(keys):
    return [int(key.removeprefix("job-").split()[0]) for key in keys]


def test_tasks_have_names(keys):
    with run_jobs(square, range(3), "write-shard", workers=2) as results:
        list(results)
    assert keys[0] in {"write-shard-00000000", "write-shard-00000001"}
    assert all(key.startswith("write-shard-0000000") for key in keys)


def test_callbacks_of_dask_stay(keys):
    before = set(Callback.active)
    run_all(square, range(1000))
    assert Callback.active == before
    assert keys


def test_long_jobs_have_a_task_each(keys, clock):
    run_all(clock.take, [parallel.TASK_SECONDS] * 10, "sync")
    assert first_jobs(keys) == list(range(10))


def test_short_jobs_share_tasks(keys, clock):
    run_all(clock.take, [parallel.TASK_SECONDS / 5.5] * 40, "sync")
    assert first_jobs(keys) == [0, 1, 3, 7, 12, 17, 22, 27, 32, 37]


def test_tiny_jobs_share_tasks(keys):
    assert len(run_all(square, range(20_000))) == 20_000
    assert len(keys) < 1000


def test_what_a_task_has_no_time_for_is_given_out_again(keys, clock):
    """Jobs 3 to 6 are one task; the first of them is slow."""
    jobs = [0.0] * 40
    jobs[3] = 10 * parallel.TASK_SECONDS
    found = run_all(clock.take, jobs, "sync")
    assert [number for number, _ in found] == list(range(40))
    assert first_jobs(keys) == [0, 1, 3, 4, 5, 7, 11, 19, 35]


# --- errors


class FailAt5:
    def __init__(self, error):
        self.error = error

    def __call__(self, number):
        if number == 5:
            raise self.error
        return number


ERRORS = [SourceError("image 5 is bad; expected a good one"), OSError(28, "No space left")]


@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
@pytest.mark.parametrize("error", ERRORS)
def test_errors_are_themselves(scheduler, error):
    with pytest.raises(type(error)) as caught:
        run_all(FailAt5(error), range(9), scheduler)
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)


@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_faults_in_a_job_come_through(scheduler):
    with pytest.raises(ZeroDivisionError):
        run_all(FailAt5(ZeroDivisionError("5")), range(9), scheduler)


def test_results_before_an_error_are_handed_over():
    numbers = []
    with suppress(OSError), run_jobs(FailAt5(OSError()), range(9), scheduler="sync") as results:
        numbers.extend(number for number, _ in results)
    assert numbers == [0, 1, 2, 3, 4]


def test_a_failure_stops_the_rest():
    jobs = Lookups(20_000)
    with pytest.raises(OSError, match="bad"):
        run_all(FailAt5(OSError("bad")), jobs)
    assert jobs.n_looked_up < len(jobs)


class FailOrGoOn:
    """Job 0 fails when job 1 has begun; job 1 has some work left then."""

    def __init__(self):
        self.begun, self.failing = threading.Event(), threading.Event()
        self.ended: list[int] = []

    def __call__(self, number):
        if number == 0:
            assert self.begun.wait(PATIENCE)
            self.failing.set()
            raise OSError("bad")
        self.begun.set()
        assert self.failing.wait(PATIENCE)
        sum(range(3_000_000))
        self.ended.append(number)


def test_an_error_is_raised_when_nothing_runs_any_more():
    """So it is safe to clean up inside the block too."""
    work = FailOrGoOn()
    # Those of an earlier test may take a while to end.
    before = set(threading.enumerate())
    with run_jobs(work, range(10_000), workers=2) as results:
        with pytest.raises(OSError, match="bad"):
            list(results)
        ended = list(work.ended)
        assert 1 in ended
        assert {t.name for t in {*threading.enumerate()} - before if "Pool" in t.name} == set()
    assert work.ended == ended


class WorkUntilLeft:
    """Job 0 ends when job 1 has begun; the others work on until the block is about to be left."""

    def __init__(self):
        self.begun, self.leaving = threading.Event(), threading.Event()
        self.ended: list[int] = []

    def __call__(self, number):
        if number == 0:
            assert self.begun.wait(PATIENCE)
        else:
            self.begun.set()
            assert self.leaving.wait(PATIENCE)
            sum(range(3_000_000))
        self.ended.append(number)


@pytest.fixture
def work(monkeypatch):
    work = WorkUntilLeft()

    class Executor(ThreadPoolExecutor):
        def shutdown(self, wait=True, **options):
            super().shutdown(wait=False, **options)
            work.leaving.set()
            super().shutdown(wait)

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Executor)
    return work


@pytest.mark.parametrize("how", ["break", "error", "interrupt"])
def test_leaving_waits_for_what_runs_and_starts_no_more(work, how):
    error = {"error": ValueError, "interrupt": KeyboardInterrupt}.get(how, GeneratorExit)
    with suppress(error), run_jobs(work, range(10_000), workers=2) as results:
        for _ in results:
            if how == "break":
                break
            raise error
    ended = list(work.ended)
    assert {0, 1} <= set(ended) <= {0, 1, 2}
    assert next(results, None) is None
    assert work.ended == ended


def test_nothing_runs_before_the_first_result_is_asked_for():
    jobs = Lookups(10)
    with run_jobs(square, jobs):
        pass
    assert jobs.n_looked_up == 0


def die(number):
    os._exit(1)


def test_a_process_that_dies():
    with pytest.raises(MtfastError, match="a worker process ended before its work") as caught:
        run_all(die, range(9), "processes")
    assert len(str(caught.value).splitlines()) == 1


# --- Ctrl-C

NAPS = """
import signal, sys, time
# A shell that starts the tests in the background has told them to ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from mtfast.parallel import run_jobs

def nap(number):
    time.sleep(0.1)
    return number

if __name__ == "__main__":
    numbers = []
    try:
        with run_jobs(nap, range(600), "nap", sys.argv[1], 2) as results:
            for number, _ in results:
                numbers.append(number)
                print("a result", flush=True)
    except KeyboardInterrupt:
        print("interrupted", len(numbers) < 600)
"""


def start(script, text, *arguments):
    script.write_text(text)
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_ctrl_c(tmp_path, scheduler):
    """A terminal sends it to the whole group; only the parent says something, and soon."""
    process = start(tmp_path / "naps.py", NAPS, scheduler)
    assert process.stdout.readline() == "a result\n"
    os.killpg(process.pid, signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert said.endswith("interrupted True\n")
    assert errors == ""


IDLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from mtfast.parallel import run_jobs

if __name__ == "__main__":
    try:
        with run_jobs(abs, range(4), scheduler="processes", workers=2) as results:
            for _ in range(3):
                next(results)
            print("idle", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_ctrl_c_while_processes_are_idle(tmp_path):
    process = start(tmp_path / "idle.py", IDLE)
    assert process.stdout.readline() == "idle\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == ("interrupted\n", "")


WORKERS = """
import os, signal, sys, time
from mtfast.parallel import run_jobs

def work(number):
    time.sleep(0.2 if number < 2 else 600)
    return os.getpid()

if __name__ == "__main__":
    n = 4 if sys.argv[1] == "busy" else 2
    with run_jobs(work, range(n), scheduler="processes", workers=2) as results:
        print(*{pid for _, pid in (next(results), next(results))}, flush=True)
        signal.pause()
"""


def is_running(pid: int) -> bool:
    """Whether a process is there; one that nobody has waited for has ended."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
@pytest.mark.parametrize("state", ["idle", "busy", "frozen"])
def test_worker_processes_end_with_a_parent_that_is_killed(tmp_path, state):
    process = start(tmp_path / "workers.py", WORKERS, "busy" if state == "frozen" else state)
    workers = [int(pid) for pid in process.stdout.readline().split()]
    assert workers
    assert all(map(is_running, workers))
    if state == "frozen":
        os.kill(workers[0], signal.SIGSTOP)
    process.kill()
    process.wait(timeout=60)
    if state == "frozen":
        os.kill(workers[0], signal.SIGCONT)
    deadline = time.monotonic() + 60
    while any(map(is_running, workers)):
        assert time.monotonic() < deadline
        os.sched_yield()
    process.communicate(timeout=60)


# --- what is imported


def test_local_runs_do_not_import_distributed():
    script = (
        "import sys; from mtfast.parallel import run_jobs\n"
        "with run_jobs(len, ['a'] * 9) as results: list(results)\n"
        "with run_jobs(len, ['a'] * 9, scheduler='processes', workers=1) as r: list(r)\n"
        "assert not {m for m in sys.modules if m.startswith('distributed')}"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_errors_of_processes_are_themselves_without_tblib(tmp_path):
    """Dask wraps them then; it comes with distributed."""
    (tmp_path / "tblib.py").write_text("raise ImportError")
    script = (
        "from mtfast.parallel import run_jobs; import os\n"
        "try:\n"
        "    with run_jobs(os.rmdir, ['/nowhere'], scheduler='processes') as r: list(r)\n"
        "except OSError as error: assert type(error) is FileNotFoundError, type(error).mro()\n"
    )
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


# --- clusters


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        dashboard_address="127.0.0.1:0",
        protocol="tcp",
        host="127.0.0.1",
    ) as cluster:
        yield cluster


def task_name(number):
    from distributed import get_worker

    return get_worker().get_current_task()


def test_a_cluster(cluster):
    jobs = Lookups(1000)
    with run_jobs(square, jobs, "square", cluster.scheduler_address) as results:
        found = [next(results)]
        assert jobs.n_looked_up <= 2 * parallel.AHEAD
        found += results
    assert sorted(found) == [(k, k * k) for k in range(1000)]


def test_a_slow_job_holds_no_other_of_a_cluster_up(cluster, jobs_with_a_pipe):
    job = first_reads_what_the_300th_writes
    found = run_all(job, jobs_with_a_pipe, cluster.scheduler_address)
    assert all(in_time for _, in_time in found)


def test_names_on_a_cluster_are_those_of_one_run(cluster):
    names = []
    for _ in range(2):
        with run_jobs(task_name, range(3), "write-shard", cluster.scheduler_address) as results:
            names += [name for number, name in results if number == 0]
    assert all(name.startswith("write-shard-00000000-") for name in names)
    assert names[0] != names[1]
    assert {dask.utils.key_split(name) for name in names} == {"write-shard"}


@pytest.mark.parametrize("error", ERRORS)
def test_errors_on_a_cluster_are_themselves(cluster, error):
    with pytest.raises(type(error)) as caught:
        run_all(FailAt5(error), range(9), cluster.scheduler_address)
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)


# The workers of the cluster are threads of this process.
begun: list[int] = []
ended: list[int] = []


def work_for_a_while(number):
    begun.append(number)
    threading.Event().wait(0.5 if number else 0)
    ended.append(number)


def test_leaving_waits_for_a_cluster(cluster):
    begun.clear()
    ended.clear()
    with run_jobs(work_for_a_while, range(100), "work", cluster.scheduler_address) as results:
        next(results)
    assert sorted(begun) == sorted(ended)
    assert 1 <= len(ended) < 100


def test_a_cluster_that_loses_its_workers(cluster, monkeypatch):
    monkeypatch.setattr(mtfast.cluster, "WORKERLESS_SECONDS", 0.5)
    monkeypatch.setattr(parallel, "POLL_SECONDS", 0.1)

    def lose():
        cluster.sync(cluster.workers[0].close)

    with pytest.raises(MtfastError, match="has no workers; expected at least one"):
        run_all(square, range(1000), cluster.scheduler_address, lose)


def test_a_cluster_that_goes_away(cluster, monkeypatch):
    monkeypatch.setattr(mtfast.cluster, "CONNECT_SECONDS", 1.0)
    with pytest.raises(MtfastError, match="has gone; expected it to stay"):
        run_all(square, range(1000), cluster.scheduler_address, cluster.close)


def test_workers_of_a_cluster_that_die():
    distributed = pytest.importorskip("distributed")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        pytest.raises(MtfastError, match="a task killed every worker of .*, 1 in all; ") as caught,
    ):
        run_all(die, range(3), cluster.scheduler_address)
    assert len(str(caught.value).splitlines()) == 1
