"""One spelling of each option, older spellings that still work, and what all commands share."""

from __future__ import annotations

import inspect
import logging
import re
import subprocess
import sys
import types
import typing
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import mtfast
from commands import invoke
from folders import names_in
from mtfast.cli.entry import cli

FUNCTIONS = {
    "bench": "mtfast.loaders.bench.rates.measure_rates",
    "check": "mtfast.checking.check.check_store",
    "convert": "mtfast.conversion.convert.convert",
    "demo": "mtfast.demo.run_demo",
    "derive": "mtfast.derivation.derive_dataset",
    "doctor": "mtfast.diagnosis.diagnose.diagnose",
    "export": "mtfast.interchange.export_annotations",
    "index": "mtfast.conversion.crop_index.add_crop_index",
    "masks": "mtfast.export.export_masks",
    "preview": "mtfast.report.preview.preview",
    "synth": "mtfast.synth.make_set",
    "verify": "mtfast.verification.verify.verify",
}
"""What each command calls."""


def called_with(monkeypatch, command: str, *arguments: str) -> dict[str, object]:
    """Return what a command hands to its function, which is not run."""
    home, _, name = FUNCTIONS[command].rpartition(".")
    given: dict[str, object] = {}

    class CalledError(Exception):
        """Nothing follows."""

    def function(*positional, **options):
        given.update(options, positional=positional)
        raise CalledError

    monkeypatch.setattr(import_module(home), name, function)
    with pytest.raises(CalledError):
        cli.main([command, *arguments], standalone_mode=False)
    return given


@pytest.mark.parametrize(
    ("command", "older", "today"),
    [
        ("convert", ["--semantic", "annotations_9"], ["--variant", "annotations_9"]),
        ("convert", ["--semantic=annotations_9"], ["--variant=annotations_9"]),
        ("masks", ["--semantic", "v"], ["--variant", "v"]),
        ("export", ["--semantic", "v"], ["--variant", "v"]),
        ("verify", ["--semantic", "v"], ["--variant", "v"]),
        ("bench", ["--semantic", "v"], ["--variant", "v"]),
        ("convert", ["--images", "jpeg"], ["--images", "keep"]),
        ("convert", ["--no-images"], ["--images", "none"]),
        ("synth", ["--no-images"], ["--images", "none"]),
        ("preview", ["-o", "a.png"], ["a.png"]),
        ("preview", ["--out", "a.png"], ["a.png"]),
    ],
)
def test_older_spellings_work_and_are_not_shown(monkeypatch, command, older, today):
    positional = ["a", "b"] if command in ("convert", "derive", "export", "masks") else ["a"]
    expected = called_with(monkeypatch, command, *positional, *today)
    found = called_with(monkeypatch, command, *positional, *older)
    for given in (expected, found):
        given.pop("progress")
    assert found == expected
    page = CliRunner().invoke(cli, [command, "--help"]).stdout
    hidden = older[-1] if older[0] == "--images" else older[0].partition("=")[0]
    assert not re.search(rf"(?<![\w-]){hidden}(?![\w-])", page)


def test_derive_without_images(tiny_set, tmp_path):
    for number, spelling in enumerate((["--no-images"], ["--images", "none"])):
        line = ["derive", str(tiny_set), str(tmp_path / str(number)), "--min-area", "400"]
        assert CliRunner().invoke(cli, [*line, *spelling], catch_exceptions=False).exit_code == 0
        assert not (tmp_path / str(number) / "train_images").exists()


def test_an_output_is_named_once(tmp_path):
    done = invoke("preview", ".")
    assert done[0] == 2
    assert done[2].startswith("mtfast: error: Missing argument 'OUT'")


def test_errors_name_the_spelling_of_today():
    status, _, said = invoke("convert", "a", "b", "--images", "png")
    assert status == 2
    assert said == (
        "mtfast: error: --images is 'png'; expected one of: keep, none; pick one of them\n"
    )


def test_a_whole_number_of_pixels_stays_whole(monkeypatch):
    for typed, number in (("200", 200), ("200.0", 200), ("0.5", 0.5)):
        given = called_with(monkeypatch, "verify", "a", "--min-area", typed)["min_area"]
        assert (given, type(given)) == (number, type(number))


# --- one set of defaults and choices


def literals(annotation) -> set[str]:
    """All strings that a Literal, or a union with one, allows."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return set().union(*map(literals, typing.get_args(annotation)))
    if typing.get_origin(annotation) is typing.Literal:
        return set(typing.get_args(annotation))
    return set()


OF_COMMANDS_ONLY = ("as_json", "at_random", "older_out")
# Functions that take no such thing take a source that was opened with it.
OF_SOURCES = ("image_folder", "ground_truth", "bad", "mapping", "rasterizer", "orientation")
RENAMED = {"samples": "n_samples", "batch": "batch_size"}
# A command says less than its function, or says it for people.
DIFFERS = {
    ("convert", "images"),
    ("derive", "images"),
    ("doctor", "images"),
    ("synth", "images"),
    ("synth", "size"),
    ("verify", "overlap"),
}


@pytest.mark.parametrize("command", sorted(FUNCTIONS))
def test_a_command_has_the_defaults_and_choices_of_its_function(command):
    home, _, name = FUNCTIONS[command].rpartition(".")
    function = getattr(import_module(home), name)
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    n = 0
    for option in cli.commands[command].params:
        if not isinstance(option, click.Option) or option.name in OF_COMMANDS_ONLY:
            continue
        if option.name in OF_SOURCES and option.name not in parameters:
            continue
        name = RENAMED.get(option.name, option.name)
        if name == "decode_check" and command == "doctor":
            name = "decode"
        assert name in parameters, option.name
        n += 1
        if (command, option.name) in DIFFERS:
            continue
        default = parameters[name].default
        if default is not inspect.Parameter.empty:
            nothing = (None, (), False, {})
            # What the command line spells with a word is a bool in Python.
            shown = {"keep": True}.get(option.default, option.default)
            assert shown == default or (
                default in nothing and (shown in nothing or not isinstance(shown, str | int))
            ), option.name
        if isinstance(option.type, click.Choice) and literals(hints[name]):
            assert set(option.type.choices) == literals(hints[name]), option.name
    assert n


READS_SETS = {"rasterizer", "bad", "ground_truth", "mapping", "variant"}
SHOWS_IMAGES = {"convert", "export", "info", "preview"}
# They show all annotation files.
OF_ALL_VARIANTS = {"info"}
# It compares masks that a set ships, and results ship none.
WITHOUT_RESULTS = {"verify"}


def test_what_reads_annotations_takes_all_that_says_how():
    for name, command in cli.commands.items():
        options = {option.name for option in command.params}
        lacking = READS_SETS - options
        if name in WITHOUT_RESULTS:
            lacking -= {"ground_truth"}
        if name in OF_ALL_VARIANTS:
            lacking -= {"variant"}
        if "bad" in options:
            assert not lacking, name
        if name in SHOWS_IMAGES:
            assert {"image_folder", "orientation"} <= options, name


def test_every_option_says_what_it_does():
    for name, command in cli.commands.items():
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.help, (name, option.name)
        assert len(command.get_short_help_str(62)) < 62
        assert not command.get_short_help_str(62).endswith("..."), name


# --- addresses


ADDRESSES = [
    ("demo", ["s3://bucket/demo"]),
    ("derive", [".", "s3://bucket/a", "--min-area", "3"]),
    ("export", [".", "s3://bucket/a"]),
    ("fetch", ["Real_WS2", "s3://bucket/sets"]),
    ("index", ["s3://bucket/set.zarr"]),
    ("info", [".", "--areas", "s3://bucket/a.csv"]),
    ("info", [".", "--plots", "s3://bucket/a.html"]),
    ("masks", [".", "s3://bucket/a"]),
    ("preview", [".", "s3://bucket/a.png"]),
    ("preview", [".", "-o", "s3://bucket/a.png"]),
    ("synth", ["s3://bucket/a"]),
    ("verify", [".", "--picture", "s3://bucket/a.png"]),
]


@pytest.mark.parametrize(("command", "arguments"), ADDRESSES)
def test_addresses_are_refused_in_one_line(tmp_path, monkeypatch, command, arguments):
    monkeypatch.chdir(tmp_path)
    status, said, errors = invoke(command, *arguments)
    (address,) = [a for a in arguments if "://" in a]
    assert (status, said) == (2, "")
    assert errors == (
        f"mtfast: error: {address} is an address; expected a path on this machine; "
        "give one, and copy from the address or to it, or mount it\n"
    )
    assert not list(tmp_path.iterdir())


SOURCES = [
    ("bench", ["none://host/set.zarr"]),
    ("check", ["none://host/set.zarr"]),
    ("convert", [".", "none://host/a.zarr"]),
    ("convert", ["none://host/set", "a.zarr"]),
    ("convert", ["a.json", "a.zarr", "--image-folder", "none://host/images"]),
    ("convert", ["train=a.json", "test=none://host/test.json", "a.zarr"]),
    ("derive", ["none://host/set", "a", "--min-area", "3"]),
    ("derive", ["a.json", "a", "--merge", "none://host/b"]),
    ("doctor", ["none://host/set"]),
    ("export", ["none://host/set", "a"]),
    ("info", ["none://host/set"]),
    ("masks", ["none://host/set", "a"]),
    ("preview", ["none://host/set", "a.png"]),
    ("verify", ["none://host/set"]),
]


@pytest.mark.parametrize(("command", "arguments"), SOURCES)
def test_sources_that_nothing_reads_are_refused_in_one_line(
    tmp_path, monkeypatch, command, arguments
):
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text('{"images": [], "annotations": [], "categories": []}')
    status, said, errors = invoke(command, *arguments)
    (address,) = [a.partition("test=")[2] or a for a in arguments if "://" in a]
    assert (status, said) == (2, "")
    assert re.fullmatch(rf"mtfast: error: {address} begins with none://; expected .*\n", errors)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_every_command_with_a_path_is_asked_for_an_address():
    assert {command for command, _ in ADDRESSES + SOURCES} == set(cli.commands)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mtfast.export_annotations(".", "s3://b/a"),
        lambda: mtfast.export_masks(".", "s3://b/a"),
        lambda: mtfast.verify(".", picture="s3://b/a.png"),
        lambda: import_module("mtfast.report.preview").preview(".", "s3://b/a.png"),
        lambda: import_module("mtfast.report").write_plots((), "s3://b/a.html", title="a"),
        lambda: import_module("mtfast.report").write_area_table((), "s3://b/a.csv"),
        lambda: import_module("mtfast.demo").run_demo("s3://b/a"),
    ],
)
def test_functions_refuse_addresses_too(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mtfast.MtfastError, match=r"^s3://b/a\S* is an address; expected a path"):
        call()
    assert not list(tmp_path.iterdir())


# --- what is logged


@pytest.mark.parametrize("place", [0, 1, 3])
def test_verbose_shows_the_log_of_mtfast_alone(tmp_path, monkeypatch, place):
    def command(**_):
        logging.getLogger("mtfast.store").info("one\n  line")
        logging.getLogger("mtfast.store").debug("too much")
        logging.getLogger("numba").warning("of another package")
        logging.getLogger("mtfast.export").warning("%d images left out", 3)

    monkeypatch.setattr(cli.commands["info"], "callback", command)
    line = ["info", ".", "--json"]
    line.insert(place, "--verbose")
    other = logging.getLogger("numba")
    monkeypatch.setattr(other, "propagate", False)
    other.addHandler(logging.NullHandler())
    status, said, errors = invoke(*line)
    assert (status, said) == (0, "")
    assert errors == "mtfast: one line\nmtfast: 3 images left out\n"
    assert invoke("info", ".", "--json") == (0, "", "")
    logger = logging.getLogger("mtfast")
    assert not logger.handlers
    assert logger.level == logging.NOTSET


def test_masks_say_what_they_are_made_from(tiny_set, tmp_path):
    line = [sys.executable, "-m", "mtfast", "--verbose", "masks", tiny_set, tmp_path / "m"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert (
        "mtfast: semantic masks of test are made from annotations_with_class_200\n" in done.stderr
    )
    assert "mtfast:" not in done.stdout.replace("mtfast: masks", "")


def test_warnings_alone_are_shown_where_logging_is_not_set_up():
    code = """
import logging, mtfast
logging.getLogger("mtfast.x").info("of interest to few")
logging.getLogger("mtfast.x").warning("something is slower")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "something is slower\n"


# --- Ctrl-C


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_what_is_said_after_an_interrupt(monkeypatch, command):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.commands[command], "callback", interrupted)
    outs = {"convert": "b", "derive": "b", "export": "b", "masks": "b", "preview": "b.png"}
    arguments = [] if command == "demo" else ["a", *filter(None, [outs.get(command)])]
    status, _, errors = invoke("--verbose", command, *arguments)
    assert status == 130
    (line,) = errors.strip().splitlines()
    assert line.startswith("mtfast: error: interrupted; ")
    kept = {
        "bench": "nothing was written",
        "demo": "what was finished stays in DIR",
        "doctor": "nothing was written",
    }
    assert kept.get(command, "nothing half-written is left") in line


def test_an_interrupt_says_what_is_kept(tiny_set, tmp_path, monkeypatch):
    from mtfast.conversion import crop_index

    store = mtfast.convert(tiny_set, tmp_path / "s.zarr")
    index_split = crop_index._index_split

    def interrupt_at_test(split, *rest):
        if split.name == "test":
            raise KeyboardInterrupt
        return index_split(split, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(crop_index, "_index_split", interrupt_at_test)
        status, _, errors = invoke("index", str(store))
    assert status == 130
    (kept,) = [path for path in tmp_path.iterdir() if path != store]
    said = f"interrupted; what is done is kept in {kept}; run the same again to go on"
    assert errors.splitlines()[-1] == f"mtfast: error: {said}"
    assert invoke("index", str(store))[0] == 0
    assert all(
        split.has_crop_index for split in map(mtfast.open(store).__getitem__, ("train", "test"))
    )
    assert names_in(tmp_path) == ["s.zarr"]


def test_an_interrupted_conversion_leaves_nothing(tiny_set, tmp_path, monkeypatch):
    from mtfast.conversion import convert

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(convert, "_write", interrupt)
    assert invoke("convert", str(tiny_set), str(tmp_path / "s.zarr"))[0] == 130
    assert not names_in(tmp_path)


@pytest.mark.parametrize(
    "option", ["--map 1=4", "--rasterizer pil", "--ground-truth a.json", "--orientation shown"]
)
@pytest.mark.parametrize("command", ["info {} --areas a.csv", "preview {} a.png", "export {} out"])
def test_a_store_is_not_read_in_another_way_than_it_was_made(tiny_store, command, option, tmp_path):
    line = [*command.format(tiny_store).split(), *option.split()]
    is_file = re.compile(r"(a\.|out)").match
    status, _, said = invoke(*[str(tmp_path / word) if is_file(word) else word for word in line])
    assert status == 2
    name = option.partition(" ")[0]
    assert f"{name} with the store " in said
    assert said.endswith(f"give the source, or leave out {name}\n")
