"""Clusters: workers, schedulers and clients are killed, and the store is as if none had been."""

from __future__ import annotations

import os
import random
import select
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

import dask
import pytest

import cluster_jobs
import mtfast.cluster
import mtfast.parallel
from clusters import POLL, SECONDS, TESTS, Cluster
from folders import names_in
from kill_commands import digest, n_done
from mtfast.conversion.convert import convert
from mtfast.conversion.crop_index import add_crop_index
from mtfast.errors import MtfastError
from mtfast.export.masks import export_masks
from mtfast.parallel import check_scheduler, run_jobs
from mtfast.remote import objects_at
from mtfast.store.shard import Shard
from mtfast.work.folder import working
from mtfast.work.folder_state import unfinished
from mtfast.work.records import Plan

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sends signals"),
    # Tornado and Dask leave sockets to the garbage collector where the other end is killed.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PLAN = Plan("make", {}, {})
SHARD = 2


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def mortal(tmp_path_factory):
    """Another one, of one worker, which has no mtfast."""
    folder = tmp_path_factory.mktemp("mortal")
    absent = folder / "absent"
    absent.mkdir()
    message = "raise ModuleNotFoundError(\"No module named 'mtfast'\", name='mtfast')"
    (absent / "mtfast.py").write_text(message)
    cluster = Cluster(folder, 1, first=absent)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def undisturbed(tiny_set, tmp_path_factory) -> dict[str, str]:
    """The files of the store that threads make of the tiny set: 10 and 4 images in 7 shards."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    return digest(convert(tiny_set, out, shard=SHARD, crop_index=True))


@pytest.fixture
def one_job_a_task(monkeypatch):
    monkeypatch.setattr("mtfast.parallel.MOST_PER_TASK", 1)


@pytest.fixture
def in_process():
    """A cluster whose worker is in this process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


def wait_until(condition) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(POLL)


# --- what may be given


@pytest.mark.parametrize("scheduler", ["udp://10.0.0.1:8786", "dask", "", 7, None])
def test_what_is_no_scheduler(scheduler):
    with pytest.raises(MtfastError, match="tls://HOST:PORT or, in Python, a distributed.Client; "):
        check_scheduler(scheduler)


def test_a_client_is_used_and_left_open(in_process):
    with distributed.Client(in_process) as client:
        with run_jobs(abs, range(-3, 0), scheduler=client) as results:
            assert sorted(results) == [(0, 3), (1, 2), (2, 1)]
        assert client.status == "running"
        wait_until(lambda: not client.futures)
    with pytest.raises(MtfastError, match="a Dask client that is closed; expected"):
        check_scheduler(client)


def test_an_asynchronous_client(in_process):
    async def check():
        async with distributed.Client(in_process, asynchronous=True) as client:
            check_scheduler(client)

    with pytest.raises(MtfastError, match="an asynchronous Dask client; expected"):
        in_process.sync(check)


@pytest.mark.parametrize("command", [convert, export_masks, add_crop_index])
def test_an_address_where_none_answers_is_refused_before_anything_is_read(
    command, tmp_path, monkeypatch
):
    monkeypatch.setattr(mtfast.cluster, "CONNECT_SECONDS", 0.2)
    places = [tmp_path / "none", tmp_path / "out"][: 1 if command is add_crop_index else 2]
    with pytest.raises(MtfastError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1; "):
        command(*places, scheduler="tcp://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


# --- stores


@pytest.mark.parametrize("way", ["address", "local cluster"])
def test_stores_are_those_of_threads(way, cluster, in_process, tiny_set, tmp_path, undisturbed):
    out = tmp_path / "out"
    with distributed.Client(in_process if way == "local cluster" else cluster.address) as client:
        where = cluster.address if way == "address" else client
        convert(tiny_set, out, shard=SHARD, scheduler=where)
        add_crop_index(out, scheduler=where)
        export_masks(out, tmp_path / "masks", format="png", scheduler=where)
    assert digest(out) == undisturbed
    export_masks(out, tmp_path / "expected", format="png")
    assert digest(tmp_path / "masks") == digest(tmp_path / "expected")


def test_progress_is_reported_as_with_threads(cluster, tiny_set, tmp_path):
    said = {"threads": [], cluster.address: []}
    for number, (scheduler, reports) in enumerate(said.items()):
        out = tmp_path / f"{number}.zarr"
        convert(
            tiny_set,
            out,
            splits=["test"],
            shard=SHARD,
            scheduler=scheduler,
            progress=lambda *report, reports=reports: reports.append(report),
        )
    on_threads, on_cluster = map(sorted, said.values())
    assert on_cluster == on_threads


# --- names


def test_a_shard_has_a_title():
    assert Shard("train", 12, 768, 832).title == "train 12 (images 768..831)"


def test_tasks_are_called_by_their_shards(tiny_set, tmp_path, one_job_a_task):
    keys = []
    with dask.callbacks.Callback(pretask=lambda key, graph, state: keys.append(key)):
        convert(tiny_set, tmp_path / "out", shard=4, splits=["train"])
        export_masks(tmp_path / "out", tmp_path / "masks")
    assert sorted(key for key in keys if key.startswith("write-shard")) == [
        "write-shard-train 0 (images 0..3)",
        "write-shard-train 1 (images 4..7)",
        "write-shard-train 2 (images 8..9)",
    ]
    assert "write-masks-train 0 (images 0..9)" in keys
    assert {dask.utils.key_split(key) for key in keys} >= {"write-shard", "write-masks"}


# --- workers


@pytest.mark.parametrize("seed", [0])
def test_workers_that_are_killed(seed, cluster, tiny_set, tmp_path, undisturbed, one_job_a_task):
    """Three times while shards are written, after a random number of them."""
    rng = random.Random(seed)
    moments = set(rng.sample(range(14), 3))

    def kill(what, done, total):
        # Splits have 10 and 4 images, and each report is of two more at most.
        for moment in [m for m in moments if what == "writing images" and m <= done]:
            moments.remove(moment)
            cluster.kill_worker(rng.randrange(2))

    out = tmp_path / "out"
    convert(tiny_set, out, shard=SHARD, crop_index=True, scheduler=cluster.address, progress=kill)
    assert not moments
    assert digest(out) == undisturbed
    assert names_in(tmp_path) == ["out"]


def test_what_a_dying_worker_was_writing_is_removed(cluster, tmp_path):
    with working(tmp_path / "out", PLAN, lambda: None) as work:
        jobs = [(work.content, "whole")]
        with work.run_jobs(
            cluster_jobs.die_once, jobs, ["whole"], "die", cluster.address
        ) as results:
            cluster.add_worker()
            assert list(results) == [(0, "whole")]
        assert len(names_in(work.content)) == 2
        work.put(tmp_path / "out", last="whole")
    del cluster.workers[next(k for k, w in enumerate(cluster.workers) if w.poll() is not None)]
    assert names_in(tmp_path / "out") == ["whole"]


def scaled_to(cluster, n):
    """Jobs that scale a cluster when they are looked up: it has other workers by then."""

    class Jobs(list):
        def __getitem__(self, number):
            cluster.scale(n)
            return super().__getitem__(number)

    return Jobs


meeting = threading.Barrier(4)


def meet(_):
    return meeting.wait(SECONDS) >= 0


def test_more_workers_get_more_tasks(monkeypatch):
    """Four jobs meet, which two under way at a time could not; at first there are no workers."""
    for module in (mtfast.cluster, mtfast.parallel):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.05)
    with (
        distributed.LocalCluster(
            n_workers=0, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
        run_jobs(meet, scaled_to(cluster, 4)(range(8)), scheduler=client) as results,
    ):
        assert sorted(results) == [(number, True) for number in range(8)]


def test_results_that_are_there_are_fetched_together(monkeypatch):
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=4, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        fetched, gather = [], client.gather

        def count(futures, **options):
            fetched.append(len(futures))
            return gather(futures, **options)

        monkeypatch.setattr(client, "gather", count)
        with run_jobs(abs, range(8), scheduler=client) as results:
            first = next(results)
            states = client.futures.values()
            wait_until(lambda: all(state.status == "finished" for state in states))
            assert sorted([first, *results]) == [(number, number) for number in range(8)]
    assert sum(fetched) == 8
    assert len(fetched) <= 2


def test_workers_of_another_version(in_process, monkeypatch):
    told = iter(["0.0.2", "0.0.1", "0.0.1"])
    monkeypatch.setattr(mtfast.cluster, "_version", lambda: next(told))
    with (
        distributed.Client(in_process) as client,
        run_jobs(abs, [1], scheduler=client) as results,
        pytest.raises(MtfastError, match="has mtfast 0.0.1, and the client 0.0.2; expected"),
    ):
        next(results)


def write_elsewhere(out: Path, scheduler) -> None:
    """Give the work folder another name, as if it were on another machine."""
    with working(out, PLAN, lambda: None) as work:
        work.folder.rename(out.with_name("elsewhere"))
        jobs = [(work.content, "a")]
        with work.run_jobs(cluster_jobs.write, jobs, ["a"], "write", scheduler) as results:
            list(results)


def test_workers_that_do_not_see_the_folder(in_process, tmp_path):
    with (
        distributed.Client(in_process) as client,
        pytest.raises(MtfastError, match="expected the workers to share the disks") as caught,
    ):
        write_elsewhere(tmp_path / "out", client)
    assert "is not there on" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_workers_without_mtfast(mortal):
    """They say so, and go on: they may be other people's."""
    with (
        run_jobs(abs, [1], scheduler=mortal.address) as results,
        pytest.raises(MtfastError, match="has no module mtfast; expected mtfast .* on all"),
    ):
        next(results)
    assert mortal.workers[0].poll() is None


def test_workers_that_do_not_see_the_images(in_process, damaged, tmp_path):
    def hide(what, done, total):
        if what == "writing images" and not done:
            damaged.rename(tmp_path / "elsewhere")

    with distributed.Client(in_process) as client, pytest.raises(MtfastError) as caught:
        convert(damaged, tmp_path / "out", scheduler=client, progress=hide)
    assert f"{damaged} is not there on" in str(caught.value)


def hiding(*folders: Path) -> list[str]:
    """Return the start of a line whose command does not see what is in some folders."""
    mounts = " && ".join(f"mount -t tmpfs none {shlex.quote(str(path))}" for path in folders)
    line = ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*line, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("the system lets nobody else's mounts differ")
    return line


def test_workers_that_share_no_disk(tiny_set, bucket, tmp_path):
    """They are refused on a disk, and write to object storage what a disk would hold."""
    here, theirs = tmp_path / "here", tmp_path / "theirs"
    here.mkdir()
    theirs.mkdir()
    away = Cluster(theirs, 1, around=hiding(here, tiny_set.parent))
    try:
        with pytest.raises(MtfastError, match="is not there on"):
            convert(tiny_set, here / "refused", images=False, scheduler=away.address)
        made = convert(tiny_set, f"{bucket}/out", images=False, scheduler=away.address)
    finally:
        away.stop()
    convert(tiny_set, here / "out", images=False)
    objects = objects_at(made)
    found = {key: sha256(objects.read(key)).hexdigest() for key, _ in objects.walk()}
    assert found == digest(here / "out")


# --- clients


def listen(pipe: Path) -> bytes:
    """Return what is written to a named pipe."""
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        ready, _, _ = select.select([reader], [], [], SECONDS)
        assert ready, f"nothing came through {pipe}"
        return os.read(reader, 1)
    finally:
        os.close(reader)


def wait_until_idle(address: str) -> None:
    """Wait until the scheduler has no tasks, and workers have forgotten all that they had."""
    with distributed.Client(address, set_as_default=False) as client:
        wait_until(
            lambda: (
                not client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
                and not any(client.run(lambda dask_worker: len(dask_worker.state.tasks)).values())
            )
        )


def kill_after(n_parts: int, line: list[str], out: Path) -> int:
    """Run a command, and kill it when it has done some parts; return its status."""
    client = subprocess.Popen([sys.executable, "-m", "mtfast", *line])
    wait_until(lambda: client.poll() is not None or n_done(out) >= n_parts)
    client.kill()
    return client.wait()


@pytest.mark.parametrize("seed", [0])
def test_a_client_that_is_killed(seed, cluster, tiny_set, tmp_path, undisturbed):
    """Workers stop by themselves; the next run goes on, and nothing is written after its end."""
    out, rng = tmp_path / "out", random.Random(seed)
    line = ["convert", tiny_set, out, "--shard", SHARD, "--crop-index", "--workers", "1"]
    line = [*map(str, line), "--scheduler", cluster.address]
    # On a busy machine it may be done before it is killed.
    while (status := kill_after(rng.randrange(1, 4), line, out)) == 0:
        shutil.rmtree(out)
    assert status == -signal.SIGKILL
    wait_until_idle(cluster.address)
    convert(tiny_set, out, shard=SHARD, crop_index=True)
    assert digest(out) == undisturbed
    assert names_in(tmp_path) == ["out"]


def test_a_job_of_a_dead_client_writes_nowhere(cluster, tmp_path):
    """It runs until the next run is at work in the same folder, which has another name then."""
    begun, go_on, out = (tmp_path / name for name in ("begun", "go_on", "out"))
    os.mkfifo(begun)
    os.mkfifo(go_on)
    script = (
        "from pathlib import Path; import cluster_jobs\n"
        "from mtfast.work.folder import working\n"
        "from mtfast.work.records import Plan\n"
        f"out, begun, go_on = Path({str(out)!r}), Path({str(begun)!r}), Path({str(go_on)!r})\n"
        "with working(out, Plan('make', {}, {}), lambda: None) as work:\n"
        "    work.keep()\n"
        "    jobs = [(work.content, 'late', begun, go_on)]\n"
        "    function = cluster_jobs.write_when_told\n"
        f"    with work.run_jobs(function, jobs, ['late'], 'write', {cluster.address!r}) as r:\n"
        "        list(r)\n"
    )
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths}
    client = subprocess.Popen([sys.executable, "-c", script], env=environment)
    assert listen(begun) == b"!"
    (before,) = unfinished(out)
    client.kill()
    client.wait()
    with working(out, PLAN, lambda: None) as work:
        assert work.folder != before
        jobs = [(work.content, "whole")]
        with work.run_jobs(cluster_jobs.write, jobs, ["whole"], "write", "sync") as results:
            list(results)
        go_on.write_bytes(b"!")
        assert listen(begun) == b"?"
        work.put(out, last="whole")
    wait_until_idle(cluster.address)
    assert names_in(out) == ["whole"]
    assert names_in(tmp_path) == ["begun", "go_on", "out"]


# --- the scheduler


def test_a_scheduler_that_is_killed(
    mortal, cluster, tiny_set, tmp_path, undisturbed, one_job_a_task, monkeypatch, caplog
):
    """The run says so in one line; repeated, on another cluster, it goes on."""
    monkeypatch.setattr(mtfast.cluster, "CONNECT_SECONDS", 1.0)
    mortal.kill_worker(0)

    def kill(what, done, total):
        if what == "writing images" and done:
            mortal.scheduler.kill()

    out, options = tmp_path / "out", {"shard": SHARD, "crop_index": True}
    with pytest.raises(MtfastError, match="the Dask scheduler at .* has gone; ") as caught:
        convert(tiny_set, out, scheduler=mortal.address, progress=kill, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert "run the same again to go on" in str(caught.value)
    convert(tiny_set, out, scheduler=cluster.address, **options)
    assert "of 7 parts had been made by a run that was stopped" in caplog.text
    assert digest(out) == undisturbed
    assert names_in(tmp_path) == ["out"]


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate that vouches for itself, and its key, in one file."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, cert, both = (folder / name for name in ("key.pem", "cert.pem", "both.pem"))
    line = (
        f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout {key} -out {cert}"
    )
    subprocess.run([program, *line.split()], check=True, capture_output=True)
    both.write_text(key.read_text() + cert.read_text())
    return both


@pytest.fixture
def encrypted(certificate):
    """A cluster in this process that speaks TLS."""
    roles = {f"tls_{who}_cert": str(certificate) for who in ("scheduler", "worker", "client")}
    security = distributed.Security(tls_ca_file=str(certificate), require_encryption=True, **roles)
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        protocol="tls",
        host="127.0.0.1",
        security=security,
    ) as cluster:
        yield cluster


def test_tls_with_certificates_of_the_configuration(encrypted, certificate):
    address = encrypted.scheduler_address
    assert address.startswith("tls://")
    names = {"ca-file": str(certificate), "client.cert": str(certificate)}
    with (
        dask.config.set({f"distributed.comm.tls.{name}": path for name, path in names.items()}),
        run_jobs(abs, [-1], scheduler=address) as results,
    ):
        assert list(results) == [(0, 1)]


def test_tls_with_a_client_that_has_certificates(encrypted):
    with (
        distributed.Client(encrypted) as client,
        run_jobs(abs, [-1], scheduler=client) as results,
    ):
        assert list(results) == [(0, 1)]


def test_tls_without_certificates():
    run = run_jobs(abs, [-1], scheduler="tls://127.0.0.1:1")
    with pytest.raises(MtfastError, match="no certificates for tls://127.0.0.1:1; "), run as found:
        list(found)


def test_a_connection_that_breaks_off_before_the_client_knows(in_process, monkeypatch):
    """It is said as if the scheduler had gone, which it nearly always has."""
    from distributed.comm import CommClosedError

    def broken(*_, **__):
        raise CommClosedError("Connection reset by peer")

    monkeypatch.setattr("distributed.Future.result", broken)
    monkeypatch.setattr("distributed.Client.gather", broken)
    with (
        distributed.Client(in_process, set_as_default=False) as client,
        pytest.raises(MtfastError, match="the Dask scheduler at .* has gone; "),
        run_jobs(len, ["#"], scheduler=client) as results,
    ):
        list(results)
