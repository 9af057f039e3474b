"""Objects in a bucket of a server on loopback, beside what boto3 sees."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from mtfast.addresses import Address
from mtfast.errors import RefusedError, RemoteError
from mtfast.remote import objects_at


@pytest.fixture
def objects(bucket):
    return objects_at(Address.parse(f"{bucket}/sets/Graphene"))


def test_what_is_written_is_read(objects):
    objects.write("train/a b#?%.jpg", b"0123456789")
    assert objects.stat("train/a b#?%.jpg").n_bytes == 10
    assert objects.read("train/a b#?%.jpg") == b"0123456789"
    assert objects.read_range("train/a b#?%.jpg", 3, 4) == b"3456"
    assert objects.read_ranges("train/a b#?%.jpg", [8, 0], [2, 1]) == [b"89", b"0"]


def test_a_range_beyond_the_end_is_no_short_read(objects):
    objects.write("a", b"0123456789")
    with pytest.raises(RemoteError, match=r"sent 2 bytes from byte 8 on; expected 5"):
        objects.read_range("a", 8, 5)
    with pytest.raises(RemoteError, match=r"sets/Graphene/a"):
        objects.read_range("a", 20, 5)


def test_folders_are_listed_one_at_a_time(objects):
    for key in ("a.json", "train/1.jpg", "train/2.jpg", "test/deep/3.jpg"):
        objects.write(key, b"x")
    found, folders = objects.list()
    assert [name for name, _ in found] == ["a.json"]
    assert folders == ["test", "train"]
    assert [name for name, _ in objects.list("train")[0]] == ["1.jpg", "2.jpg"]
    assert objects.list("val") == ([], [])
    assert sorted(key for key, _ in objects.walk("")) == [
        "a.json",
        "test/deep/3.jpg",
        "train/1.jpg",
        "train/2.jpg",
    ]


def test_what_is_there_is_not_replaced_where_it_must_be_new(objects):
    objects.write("mark", b"1", new=True)
    with pytest.raises(FileExistsError, match="sets/Graphene/mark"):
        objects.write("mark", b"2", new=True)
    assert objects.read("mark") == b"1"


def test_what_is_missing_is_a_missing_file(objects):
    for read in (objects.stat, objects.read, lambda key: objects.read_range(key, 0, 1)):
        with pytest.raises(FileNotFoundError, match="sets/Graphene/none"):
            read("none")
    objects.delete(["none"])


def test_what_is_missing_is_deleted_where_storage_says_so(objects, monkeypatch):
    """Google and Azure do."""
    for key in ("a", "b"):
        objects.write(key, b"x")
    opened, told = objects._opened(), []

    class Told:
        def delete(self, paths):
            for path in paths:
                told.append(path)
                opened.head(path)
                opened.delete(path)

    monkeypatch.setattr(objects, "_opened", Told)
    objects.delete(["a", "none", "b"])
    monkeypatch.undo()
    assert told[:2] == ["sets/Graphene/a", "sets/Graphene/none"]
    assert list(objects.walk()) == []


def test_an_object_that_stands_for_a_folder_is_not_in_it(bucket, objects):
    import boto3

    name = bucket.removeprefix("s3://")
    boto3.client("s3").put_object(Bucket=name, Key="sets/Graphene/", Body=b"")
    objects.write("a", b"x")
    assert [key for key, _ in objects.walk()] == ["a"]


def test_a_bucket_that_is_not_there_is_said(bucket):
    objects = objects_at(Address.parse("s3://no-such-bucket/x"))
    with pytest.raises(RemoteError, match="NoSuchBucket"):
        objects.list()


def test_a_profile_that_is_not_there_is_said_in_one_line(bucket, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    objects = objects_at(Address.parse(f"{bucket}/x"))
    with pytest.raises(RefusedError, match=r"needs credentials \(.*nobody.*\); expected a profile"):
        objects.list()


def test_obstore_is_imported_by_one_thread():
    """With the module, under its lock. Imports of parts of it by several threads may fail."""
    code = (
        "import sys, mtfast.remote; assert 'obstore' not in sys.modules; "
        "import mtfast.remote.buckets; "
        "assert {'obstore.store', 'obstore.exceptions'} <= sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_objects_pickle_without_a_connection(objects):
    objects.write("a", b"0")
    assert pickle.loads(pickle.dumps(objects)).read("a") == b"0"
    assert len(pickle.dumps(objects)) < 1000


@pytest.mark.parametrize("text", ["localhost:9000", "", "http://", "ftp://a", "http://a:99999"])
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"])
def test_an_endpoint_that_is_no_address_is_one_line(objects, monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    with pytest.raises(RemoteError, match=rf"^{name} is '{text}'; expected an address .*9000; "):
        objects.list()


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"])
@pytest.mark.parametrize("text", ["abc\n", " abc", "a\tc"])
def test_a_key_with_a_line_break_is_refused_and_not_shown(objects, monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    with pytest.raises(RemoteError, match=rf"^{name} has a space, a line break") as caught:
        objects.list()
    assert "abc" not in str(caught.value)


def test_half_of_the_credentials_is_no_matter_of_the_network(objects, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(RefusedError, match=r"cannot be opened \(.*Missing Secret.* check AWS_ACC"):
        objects.list()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("az://container/x", "Account must be.* check AZURE"),
        ("gs://bucket/x", "nope.* check GOOGLE"),
    ],
)
def test_settings_of_other_providers_that_are_missing(monkeypatch, address, told):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nope.json")
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(RefusedError, match=told):
        objects_at(Address.parse(address)).list()
