"""Datasets in buckets and on web servers, on loopback: what is read, and with which requests."""

from __future__ import annotations

import json
import pickle
import shutil
import threading
import zipfile
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader

import pytest

import mtfast
from commands import invoke
from faulty_server import faulty_server
from mtfast.addresses import Address
from mtfast.errors import RemoteError, SourceError
from mtfast.remote import objects_at
from mtfast.sources.trees.places import place_of
from mtfast.sources.trees.ranges import RangesFile, RemoteRanges
from mtfast.sources.trees.web import WebContents, links_of
from packing import pack

pytest.importorskip("obstore")

APACHE = b"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN"><html><head>
<title>Index of /sets/Graphene</title></head><body><h1>Index of /sets/Graphene</h1><table><tr>
<th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="/sets/">Parent Directory</a></td></tr>
<tr><td><a href="RLE_annotations/">RLE_annotations/</a></td></tr>
<tr><td><a href="a%20b%23%3f.jpg">a b#?.jpg</a></td><td>2024-01-01</td><td> 36K</td></tr>
<tr><td><a href="https://httpd.apache.org/">Apache</a></td></tr></table></body></html>"""
NGINX = b"""<html><head><title>Index of /sets/Graphene/</title></head><body>
<h1>Index of /sets/Graphene/</h1><hr><pre><a href="../">../</a>
<a href="RLE_annotations/">RLE_annotations/</a>             01-Jan-2024 00:00       -
<a href="a%20b%23%3F.jpg">a b#?.jpg</a>                     01-Jan-2024 00:00   36864
</pre></body></html>"""
PYTHON = b"""<!DOCTYPE HTML><html lang="en"><head><meta charset="utf-8">
<title>Directory listing for /sets/Graphene/</title></head><body><ul>
<li><a href="RLE_annotations/">RLE_annotations/</a></li>
<li><a href="a%20b%23%3F.jpg">a b#?.jpg</a></li></ul></body></html>"""


@pytest.mark.parametrize("page", [APACHE, NGINX, PYTHON], ids=["apache", "nginx", "python"])
def test_pages_of_folders(page):
    found = links_of(page, "https://host/sets/Graphene/")
    assert found == {"RLE_annotations": True, "a b#?.jpg": False}
    assert links_of(b"<title>Our group</title><a href='a.jpg'>", "https://host/") is None


class _Handler(SimpleHTTPRequestHandler):
    """Lists folders, and sends files whole whatever is asked for."""

    def log_message(self, *_):
        """Print nothing."""

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()


@contextmanager
def listing_server(folder):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=folder))
    server.asked = []
    server.daemon_threads = True
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def files_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def few_variants(tiny_set, tmp_path_factory):
    """The tiny set without its many subsets, each of which is a request."""
    folder = tmp_path_factory.mktemp("few") / "Graphene"
    shutil.copytree(tiny_set, folder, ignore=shutil.ignore_patterns("*_shot"))
    return folder


@pytest.fixture(scope="module")
def expected(few_variants, tmp_path_factory):
    return files_in(mtfast.convert(few_variants, tmp_path_factory.mktemp("store") / "a.zarr"))


def upload(folder, bucket, key):
    objects = objects_at(Address.parse(bucket))
    for name, data in files_in(folder).items():
        objects.write(f"{key}/{name}", data)


def test_equal_stores_from_zips(tmp_path, few_variants, expected):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = pack(few_variants, tmp_path / "Graphene.zip", method, "Graphene")
        for scheduler in ("threads", "sync"):
            store = tmp_path / f"{method}-{scheduler}.zarr"
            assert files_in(mtfast.convert(path, store, scheduler=scheduler)) == expected


def test_equal_stores_from_a_bucket(tmp_path, few_variants, expected, bucket):
    upload(few_variants, bucket, "sets/Graphene")
    store = mtfast.convert(f"{bucket}/sets/Graphene", tmp_path / "a.zarr")
    assert files_in(store) == expected
    path = pack(few_variants, tmp_path / "Graphene.zip", zipfile.ZIP_DEFLATED, "Graphene")
    objects_at(Address.parse(bucket)).write("Graphene.zip", path.read_bytes())
    path.unlink()
    assert files_in(mtfast.convert(f"{bucket}/Graphene.zip", tmp_path / "b.zarr")) == expected
    source = mtfast.open_source(f"{bucket}/sets/Graphene")
    assert source.path == Address.parse(f"{bucket}/sets/Graphene")
    assert pickle.loads(pickle.dumps(source)) == source
    with pytest.raises(SourceError, match=rf"^nothing is at {bucket}/sets/none; expected a folder"):
        mtfast.open_source(f"{bucket}/sets/none")
    for name in ("none.zip", "none.json"):
        with pytest.raises(SourceError, match=rf"^nothing is at {bucket}/sets/{name}; expected"):
            mtfast.open_source(f"{bucket}/sets/{name}")


def test_equal_stores_from_a_server_that_lists(tmp_path, few_variants, expected):
    with listing_server(few_variants.parent) as (url, asked):
        store = mtfast.convert(f"{url}/Graphene/", tmp_path / "a.zarr")
        assert files_in(store) == expected
        images = [path for path in asked if path.endswith(".jpg")]
        assert len(images) == len(set(images)) == 14
        assert asked.count("/Graphene/train_images/") == 1
        with pytest.raises(SourceError, match=r"^nothing is at http://.*/none\.json; expected"):
            mtfast.open_source(f"{url}/Graphene/none.json")
        pack(few_variants, tmp_path / "Graphene.zip")
        shutil.copy(tmp_path / "Graphene.zip", few_variants.parent)
        with pytest.raises(RemoteError, match=r"Graphene\.zip (is on a server|cannot be reached)"):
            mtfast.open_source(f"{url}/Graphene.zip")
        (few_variants.parent / "Graphene.zip").unlink()


def test_a_zip_on_a_server_takes_a_request_for_each_file(tmp_path, few_variants, expected):
    pack(few_variants, tmp_path / "Graphene.zip", inside="Graphene")
    with faulty_server(tmp_path) as server:
        source = mtfast.open_source(f"{server.url}/Graphene.zip")
        assert len(server.requests) <= 3
        server.requests.clear()
        names = source.table("train", "annotations_300").names.tolist()
        assert [asked.method for asked in server.requests] == ["GET"]
        server.requests.clear()
        for name in names:
            source.read_image("train", name)
        assert [asked.method for asked in server.requests] == ["GET"] * len(names)
        sent = sum(asked.n_bytes for asked in server.requests)
        sizes = [stamp[0] for stamp in source.image_stamps("train", names).values()]
        assert sent < sum(sizes) + 1000 * len(names)
        store = mtfast.convert(f"{server.url}/Graphene.zip", tmp_path / "a.zarr")
        assert files_in(store) == expected


def test_a_zip_at_a_signed_address(tmp_path, few_variants, expected):
    pack(few_variants, tmp_path / "Graphene.zip", inside="Graphene")
    with faulty_server(tmp_path) as server:
        server.query = "X-Amz-Signature=a%2Fb&download=1"
        signed = f"{server.url}/Graphene.zip?{server.query}"
        store = mtfast.convert(signed, tmp_path / "a.zarr")
        assert files_in(store) == expected
        with pytest.raises(RemoteError, match=r"Graphene\.zip\?… is refused") as caught:
            mtfast.open_source(f"{server.url}/Graphene.zip?X-Amz-Signature=other")
    assert "Signature" not in str(caught.value)


@pytest.fixture
def two_in_a_zip(tmp_path, few_variants):
    """A zip of two folders, of which one is a dataset."""
    path = pack(few_variants, tmp_path / "sets.ZIP", inside="Graphene")
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr("other/notes.txt", "nothing")
    return path


@pytest.mark.parametrize("query", ["", "X-Amz-Signature=a%2Fb"])
def test_a_folder_in_a_zip_on_a_server(tmp_path, two_in_a_zip, expected, query):
    with faulty_server(tmp_path) as server:
        server.query = query
        signed = f"?{query}" if query else ""
        at = f"{server.url}/sets.ZIP/Graphene{signed}"
        assert files_in(mtfast.convert(at, tmp_path / "a.zarr")) == expected
        source = mtfast.open_source(at)
        assert source.name == "Graphene"
        assert pickle.loads(pickle.dumps(source)) == source
        with pytest.raises(SourceError, match=r"sets\.ZIP/none.*; check the path in the zip"):
            mtfast.open_source(f"{server.url}/sets.ZIP/none{signed}")


def test_files_and_images_in_a_zip_in_a_bucket(tmp_path, two_in_a_zip, few_variants, bucket):
    objects_at(Address.parse(bucket)).write("in/sets.zip", two_in_a_zip.read_bytes())
    inner = f"{bucket}/in/sets.zip/Graphene"
    file = "RLE_annotations/train_annotations_300.json"
    image = mtfast.open_source(few_variants).image_names("train")[0]
    for source in (
        mtfast.open_source(f"{inner}/{file}", image_folder=few_variants / "train_images"),
        mtfast.open_source(few_variants / file, image_folder=f"{inner}/train_images"),
        mtfast.open_source({"train": f"{inner}/{file}"}, image_folder=f"{inner}/train_images"),
    ):
        assert image in source["train"].table().names
        data = (few_variants / "train_images" / image).read_bytes()
        assert source.read_image("train", image) == data


def test_a_folder_that_is_called_like_a_zip(tmp_path, few_variants, expected, bucket):
    upload(few_variants, bucket, "sets.zip/Graphene")
    store = mtfast.convert(f"{bucket}/sets.zip/Graphene", tmp_path / "a.zarr")
    assert files_in(store) == expected


def test_one_worker_asks_for_several_images_at_once(tmp_path, few_variants, expected):
    pack(few_variants, tmp_path / "Graphene.zip", inside="Graphene")
    with faulty_server(tmp_path) as server:
        server.latency = 0.02
        source = mtfast.open_source(f"{server.url}/Graphene.zip")
        assert server.most == 1
        store = mtfast.convert(source, tmp_path / "a.zarr", scheduler="sync")
        assert server.most == 4
    assert files_in(store) == expected


@pytest.fixture
def coco(tmp_path, few_variants):
    """COCO beside its images, where a file and the records of images are moved."""
    folder = tmp_path / "coco"
    shutil.copytree(few_variants / "test_images", folder / "images")
    variant = few_variants / "RLE_annotations" / "test_annotations_with_class_full.json"
    shutil.copy(variant, folder / "test.json")
    content = json.loads(variant.read_bytes())
    for image in content["images"]:
        image["file_name"] = f"images/{image['file_name']}"
    (folder / "test_named.json").write_text(json.dumps(content))
    return folder


def test_a_coco_file_on_a_server_that_lists_nothing(tmp_path, coco):
    here = files_in(mtfast.convert(coco / "test_named.json", tmp_path / "here.zarr"))
    with faulty_server(coco) as server:
        url = server.url
        for k, given in enumerate(
            [[f"{url}/test_named.json"], [f"{url}/test.json", f"{url}/images"]]
        ):
            source = mtfast.open_source(*given)
            names = source.table("test", "annotations").names.tolist()
            server.requests.clear()
            places = source.find_images("test", names)
            assert len(places) == 4
            assert {asked.method for asked in server.requests} == {"HEAD"}
            assert source.image_stamps("test", names).keys() == set(places.values())
            assert len(server.requests) == 4
            store = mtfast.convert(source, tmp_path / f"{k}.zarr")
            assert files_in(store).keys() == here.keys()
            if k == 0:
                assert {**files_in(store), "zarr.json": b""} == {**here, "zarr.json": b""}
        with pytest.raises(SourceError, match=r"is no folder that its server lists; .* or file$"):
            mtfast.open_source(f"{url}/images")


def test_no_image_is_left_out_for_a_fault_of_the_network(tmp_path, coco, monkeypatch):
    monkeypatch.setattr("mtfast.remote.settings.RETRIES", 1)
    lost = sorted((coco / "images").iterdir())[1].name
    with faulty_server(coco) as server:
        source = mtfast.open_source(f"{server.url}/test_named.json", bad="skip")

        def fault(number, path):
            return (
                "500" if path.endswith(lost) and server.requests[number].method == "GET" else None
            )

        server.fault = fault
        with pytest.raises(RemoteError, match=rf"{lost} cannot be reached"):
            mtfast.convert(source, tmp_path / "a.zarr")


def test_requests_of_an_opened_file(bucket, rng):
    """A few bytes of it are a request of 64 KiB; what is read in one go takes few requests."""
    data = rng.bytes(3_000_000)
    objects = objects_at(Address.parse(bucket))
    objects.write("set/a.tif", data)
    asked = []

    class Counting:
        address = objects.address

        def read_part(self, key, start, length):
            asked.append((start, length))
            return objects.read_part(key, start, length)

    ranges = RemoteRanges(Counting(), "set/a.tif", objects.stat("set/a.tif"))
    with BufferedReader(RangesFile(ranges, 0, ranges.n_bytes)) as file:
        assert file.read(100) == data[:100]
        file.seek(2_000_000)
        assert file.read(100) == data[2_000_000:2_000_100]
        assert asked == [(0, 1 << 16), (2_000_000, 1 << 16)]
        asked.clear()
        file.seek(0)
        assert b"".join(iter(partial(file.read, 10_000), b"")) == data
    assert len(asked) < 10
    files, _ = place_of(f"{bucket}/set")
    with files.open("a.tif") as file:
        assert file.seek(-3, 2) == len(data) - 3
        assert file.read() == data[-3:]


def test_a_file_that_is_replaced_while_it_is_read_is_told(bucket):
    objects = objects_at(Address.parse(bucket))
    objects.write("set/a.tif", bytes(1 << 18))
    files, _ = place_of(f"{bucket}/set")
    with files.open("a.tif") as file:
        assert file.read(4) == bytes(4)
        objects.write("set/a.tif", b"\1" * (1 << 18))
        file.seek(1 << 17)
        with pytest.raises(SourceError, match=r"set/a.tif has been replaced since it was opened"):
            file.read(4)


@pytest.mark.parametrize("fault", ["500", "cut"])
def test_faults_that_pass_are_tried_again(tmp_path, few_variants, expected, fault):
    pack(few_variants, tmp_path / "Graphene.zip", inside="Graphene")
    with faulty_server(tmp_path) as server:
        server.fault = lambda number, path: fault if number % 7 == 3 else None
        store = mtfast.convert(f"{server.url}/Graphene.zip", tmp_path / "a.zarr")
        assert files_in(store) == expected


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("403", r"is refused"),
        ("500", r"cannot be reached \(.*500.*\)"),
        ("cut", r"cannot be reached"),
        ("whole", r"(sends whole files|cannot be reached)"),
        ("short", r"(has sent|cannot be reached)"),
        ("wrong", r"(is damaged: it does not have the checksum that is stated)"),
    ],
)
@pytest.mark.parametrize("bad", ["refuse", "skip"])
def test_faults_that_stay_are_said_in_one_line(
    tmp_path, monkeypatch, few_variants, fault, words, bad
):
    monkeypatch.setattr("mtfast.remote.settings.RETRIES", 1)
    pack(few_variants, tmp_path / "Graphene.zip", inside="Graphene")
    with faulty_server(tmp_path) as server:
        source = mtfast.open_source(f"{server.url}/Graphene.zip", bad=bad)
        server.requests.clear()
        at = 8 if fault != "wrong" else 0
        server.fault = lambda number, path: fault if number >= at else None
        with pytest.raises((RemoteError, SourceError), match=words) as caught:
            mtfast.convert(source, tmp_path / "a.zarr")
        assert len(str(caught.value).splitlines()) == 1
        assert server.url in str(caught.value)
    assert not (tmp_path / "a.zarr").exists()


def test_missing_credentials_are_said_with_their_names(tmp_path, bucket, monkeypatch):
    with faulty_server(tmp_path) as server:
        server.fault = lambda number, path: "403"
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        for given in (f"{bucket}/set", f"{bucket}/set.zip", f"{bucket}/set.json"):
            with pytest.raises(RemoteError, match=r"is refused .*AWS_ACCESS_KEY_ID") as caught:
                mtfast.open_source(given)
            assert len(str(caught.value).splitlines()) == 1
            assert "secret" not in str(caught.value)


def test_commands_take_addresses(tmp_path, few_variants):
    pack(few_variants, tmp_path / "Graphene.zip", inside="Graphene")
    with faulty_server(tmp_path) as server:
        at = f"{server.url}/Graphene.zip"
        status, said, _ = invoke("info", at)
        assert status == 0
        assert said.startswith(f"{at}  maskterial")
        for arguments in (
            ["preview", at, str(tmp_path / "a.png"), "-n", "2"],
            ["masks", at, str(tmp_path / "masks"), "--split", "test"],
            ["derive", at, str(tmp_path / "more"), "--min-area", "30"],
            ["verify", at, "--split", "test"],
            ["export", at, str(tmp_path / "coco"), "--format", "coco", "--images", "copy"],
            ["doctor", at],
            ["convert", at, str(tmp_path / "a.zarr")],
            ["check", str(tmp_path / "a.zarr"), "--repair", at],
        ):
            status, said, errors = invoke(*arguments)
            assert (status, errors.count("error")) == (0, 0), (arguments, errors)
            assert "link" not in f"{said}{errors}", arguments
    linked = files_in(tmp_path / "more" / "train_images")
    assert linked == files_in(few_variants / "train_images")


class _Pages(BaseHTTPRequestHandler):
    """Sends the page of a folder in chunks, without its length, as nginx does; and much else."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Print nothing."""

    def do_GET(self):
        is_page = self.path.startswith("/sets/")
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if is_page else "application/octet-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (NGINX[:99], NGINX[99:], b"") if is_page else iter(lambda: bytes(1 << 20), b""):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """Print nothing: the client leaves."""


def test_pages_without_a_length_are_read_and_files_are_not():
    server = _Server(("127.0.0.1", 0), _Pages)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05))
    thread.start()
    try:
        contents = WebContents(Address.parse(f"http://127.0.0.1:{server.server_port}"), "sets/a")
        assert contents.lists
        assert contents.listing("sets/Graphene") == {"RLE_annotations": True, "a b#?.jpg": False}
        # Without an end.
        assert contents.listing("content") is None
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_query_is_of_a_zip_alone():
    """Without it another file may be there."""
    for name in ("set", "set.json"):
        with pytest.raises(SourceError, match="has a query, which only the address of a zip may"):
            mtfast.open_source(f"https://127.0.0.1:9/{name}?id=5")


def test_a_user_and_password_are_sent(tiny_set, tmp_path):
    pack(tiny_set, tmp_path / "set.zip")
    with faulty_server(tmp_path) as server:
        # printf 'me:a/b' | base64
        server.authorization = "Basic bWU6YS9i"
        address = server.url.replace("://", "://me:a%2Fb@") + "/set.zip"
        assert mtfast.open_source(address).splits == mtfast.open_source(tiny_set).splits


def test_a_password_is_not_shown_where_nothing_answers(monkeypatch):
    monkeypatch.setenv("MTFAST_RETRIES", "0")
    with pytest.raises(RemoteError, match="cannot be reached") as caught:
        mtfast.open_source("http://me:secret@127.0.0.1:9/set.zip?signature=secret")
    assert "secret" not in str(caught.value)
