"""The command line as a user meets it: in a process of its own."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mtfast
from commands import call, run
from mtfast.cli import main


def test_the_whole_way(tmp_path):
    """synth, info, convert, info, preview: each says one thing on standard output."""
    small = ("--train", "6", "--test", "2", "--size", "128x160", "--workers", "1")
    done = run("synth", "set", *small, cwd=tmp_path)
    assert done.stdout == "set: 6 train and 2 test images of 128 x 160\n", done.stderr
    done = run("info", "set", cwd=tmp_path)
    assert "annotations_with_class_200 *" in done.stdout, done.stderr
    assert "100 n-shot subsets" in done.stdout
    done = run("convert", "set", "set.zarr", cwd=tmp_path)
    assert done.stdout == (
        "set.zarr: 6 train, 2 test images; open it with mtfast.open('set.zarr')\n"
    ), done.stderr
    source, store = (
        json.loads(run("info", p, "--json", cwd=tmp_path).stdout) for p in ("set", "set.zarr")
    )
    assert (source.pop("kind"), store.pop("kind")) == ("maskterial", "store")
    assert (source.pop("path"), store.pop("path")) == ("set", "set.zarr")
    assert source == store
    for path in ("set", "set.zarr"):
        done = run("preview", path, "-o", "sheet.png", "-n", "3", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "sheet.png\n"), done.stderr
        with Image.open(tmp_path / "sheet.png") as sheet:
            assert len(sheet.convert("RGB").getcolors(1 << 24)) > 200


def test_a_random_preview_can_be_drawn_again(tiny_set, tmp_path):
    done = call("preview", tiny_set, "a.png", "-n", "2", "--zoom", "--random", cwd=tmp_path)
    found = re.fullmatch(r"a\.png: images picked with --seed (\d+)\n", done.stdout)
    assert found, done.stderr
    for name, seed in (("b.png", found[1]), ("c.png", str(int(found[1]) + 1))):
        call("preview", tiny_set, name, "-n", "2", "--zoom", "--seed", seed, cwd=tmp_path)
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c


def test_index(tiny_set, tmp_path):
    done = call("convert", tiny_set, "a.zarr", "--crop-index", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = call("index", "a.zarr", cwd=tmp_path)
    assert done.stdout == "a.zarr: no images without an index; --overwrite makes one again\n"
    done = call("convert", tiny_set, "b.zarr", "--split", "test", cwd=tmp_path)
    done = call("index", "b.zarr", cwd=tmp_path)
    assert done.stdout == "test: 4 of 4 images indexed, 0.0 MB\n", done.stderr
    assert mtfast.open(tmp_path / "a.zarr")["test"].has_crop_index
    assert mtfast.open(tmp_path / "b.zarr")["test"].has_crop_index


def test_derive(small_set, tmp_path):
    done = call("derive", small_set, "a", "--min-area", "400", "--split", "train", cwd=tmp_path)
    assert done.stdout == (
        "a: 1 annotation file made, 110 carried over, 26 images and 26 masks linked\n"
        "note: train: --variant annotations_with_class_400 reads what was made; without it "
        "commands read annotations_with_class_200\n"
    ), done.stderr
    done = call("derive", "a", "b", "--validation", "0.2", "--no-images", cwd=tmp_path)
    assert done.stdout.startswith("b: 14 annotation files made, 4 carried over, 0 images and 0 ")
    assert "\nnote: n-shot subsets were left out; draw new ones" in done.stdout


def test_areas_and_plots(small_set, tmp_path):
    arguments = ("--areas", "a.csv", "--plots", "a.html", "--um2-per-px", "0.5")
    done = call("info", small_set, *arguments, cwd=tmp_path)
    assert done.stdout == "a.csv\na.html\n", done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.html"]


def test_demo(tmp_path, monkeypatch, capsys):
    from mtfast import demo
    from mtfast.synth import make_set

    def make_small_set(out, **options):
        return make_set(out, **options | {"size": (160, 256), "workers": 1})

    monkeypatch.setattr(demo, "make_set", make_small_set)
    for said in ("made 56 images", "using the set in"):
        rates = demo.run_demo(tmp_path / "demo", workers=1)
        assert said in capsys.readouterr().out
        assert len(rates) == 4
        assert all(rate.ours > 0 and rate.ordinary > 0 for rate in rates)
    assert [rate.ordinary_way for rate in rates] == [
        "pycocotools loop",
        "zarr-python",
        "PNG file, Pillow",
        "JPEG file, Pillow; pycocotools",
    ]
    with Image.open(tmp_path / "demo" / "preview.png") as sheet:
        assert sheet.width > 1000
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(mtfast.MtfastError, match="is not empty"):
        demo.run_demo(tmp_path / "other")


def test_the_demo_reads_files_where_it_says_so(small_set, tmp_path, monkeypatch):
    from mtfast import demo

    source = mtfast.open_source(small_set)
    train = mtfast.open(mtfast.convert(source, tmp_path / "set.zarr"))["train"]
    table = source.table("train", train.semantic_variant)
    opened, names = [], [str(name).removesuffix(".jpg") for name in train.names[:2]]
    monkeypatch.setattr(demo, "READS", 2)
    open_image = Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(Path(path)) or open_image(path))
    demo._time(train, source, table, [0, 1])
    assert {path.relative_to(small_set) for path in opened} == {
        Path(folder, f"{name}{ending}")
        for name in names
        for folder, ending in (("train_semantic_masks", ".png"), ("train_images", ".jpg"))
    }


def test_the_demo_ends_with_lines_that_work(small_set, tmp_path, monkeypatch):
    from mtfast.cli import demo as command

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["-m"])
    folder = Path("a demo")
    folder.mkdir()
    (folder / "set").symlink_to(small_set)
    lines = [line.strip() for line in command._next_lines(folder)]
    start, python = (lines.index(next(filter(has, lines))) for has in (_is_typed, _is_python))
    typed = [line for line in lines[start:python] if _is_typed(line)]
    assert len(typed) == 3
    done = subprocess.run(
        ["bash", "-ec", "\n".join(typed)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "mine.png").exists()
    names: dict[str, np.ndarray] = {}
    exec("\n".join(lines[python:]), names)
    assert names["image"].shape[:2] == names["mask"].shape


def _is_typed(line: str) -> bool:
    return " -m mtfast " in line


def _is_python(line: str) -> bool:
    return line == "import mtfast"


def test_next_lines_call_this_program_as_the_shell_finds_it(tmp_path, monkeypatch):
    from mtfast.cli import output as command

    program = tmp_path / "bin" / "mtfast"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", str(program.parent))
    assert command.program() == "mtfast"
    monkeypatch.setenv("PATH", "")
    assert command.program() == str(program)


def test_demo_notices_a_difference(small_set, tmp_path, monkeypatch):
    from mtfast import demo
    from mtfast.store.reading.store import Split

    source = mtfast.open_source(small_set)
    train = mtfast.open(mtfast.convert(source, tmp_path / "set.zarr"))["train"]
    table = source.table("train", train.semantic_variant)
    demo._check(train, source, table, [0, 5])
    monkeypatch.setattr(Split, "semantic", lambda *_: np.zeros((240, 320), np.uint8))
    with pytest.raises(mtfast.MtfastError, match="the mask of .* differs"):
        demo._check(train, source, table, [0, 5])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["info", "nowhere"], "mtfast: error: no such file or folder: .*nowhere; expected .*; "),
        (["convert", "nowhere", "x.zarr"], "mtfast: error: no such file or folder"),
        (
            ["convert", "."],
            "mtfast: error: Missing argument 'STORE'; expected '.* SRC... STORE'; see",
        ),
        (["convert", ".", "x", "--shard", "0"], "mtfast: error: Invalid value for '--shard'"),
        (["synth", "x", "--size", "12"], "mtfast: error: Invalid value for '--size': '12' is no"),
        (["synth", "x", "--size", "12x12"], "mtfast: error: height is 12; expected"),
        (["preview", ".", "-o", "x.gif"], "mtfast: error: x.gif for a picture; expected .png"),
        (
            ["derive", ".", "x"],
            "mtfast: error: nothing to derive; expected one of --min-area",
        ),
        (
            ["derive", ".", "x", "--merge", "y", "--validation", ".1"],
            "mtfast: error: --validation FRACTION and",
        ),
        (["derive", ".", "x", "--validation", ".1", "--split", "a"], ".*; leave out --split"),
        (["derive", "none://host/set", "x", "--min-area", "3"], "mtfast: error: none:.* begins wi"),
        (["derive", ".", "s3://bucket/set", "--merge", "."], "mtfast: error: s3:.* is an address"),
        (["doctor", "none://host/set"], "mtfast: error: none://host/set begins with none://; exp"),
        (
            ["derive", ".", "x", "--n-shot", "seeded", "--before", "3"],
            ".*leave out --before, or",
        ),
        (["derive", "nowhere", "x", "--min-area", "3"], "mtfast: error: no such file or folder"),
        (["info", ".", "--um2-per-px", "1"], "mtfast: error: --um2-per-px without --areas or"),
        (["info", ".", "--json", "--areas", "a.csv"], "mtfast: error: --json with --areas or --p"),
        (["info", ".", "--plots", "a.gif"], "mtfast: error: a.gif for plots; expected .html or"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(tmp_path, arguments, line):
    import re

    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert re.match(line, done.stderr)
    assert not list(tmp_path.iterdir())


def test_system_errors_are_one_line(tmp_path, small_set):
    long = "x" * 300
    for arguments in (["info", long], ["convert", small_set, long], ["synth", long]):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("mtfast: error: ")
        assert len(done.stderr.splitlines()) == 1
    command = (
        f"ulimit -f 8; {sys.executable} -m mtfast synth s --train 2 --size 256x256 --workers 1"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "File too large; expected a folder with room" in done.stderr
    assert not list(tmp_path.iterdir())


def test_no_command_is_help():
    done = run()
    assert done.returncode == 0
    assert done.stdout == run("--help").stdout


def test_names_are_not_markup(tmp_path):
    """Classes, files and variants may be called anything."""
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 4}],
        "annotations": [],
        "categories": [{"id": 1, "name": "[/x] [red]mono[/red] :smile:"}],
    }
    (tmp_path / "[b].json").write_text(json.dumps(content))
    done = call("info", "[b].json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 [/x] [red]mono[/red] :smile: (0)" in done.stdout
    assert done.stdout.startswith("[b].json  coco")


def test_info_of_a_store_painted_from_few(small_set, tmp_path):
    variant = "5_shot/run_0/annotations_with_class_300"
    mtfast.convert(small_set, tmp_path / "s.zarr", variant=variant, images="none", splits=["train"])
    done = call("info", tmp_path / "s.zarr")
    assert f"{variant} *" in done.stdout, done.stderr


def test_debug_shows_the_traceback(tmp_path):
    for arguments in (["--debug", "info", "x"], ["info", "x", "--debug"]):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert "SourceError" in done.stderr


def test_a_closed_pipe_is_no_error(small_set):
    command = f"{sys.executable} -m mtfast info {small_set} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


COMMANDS = (
    "check",
    "convert",
    "demo",
    "derive",
    "doctor",
    "export",
    "info",
    "masks",
    "preview",
    "synth",
    "verify",
)


def test_help_and_version():
    done = call("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout
        page = call(command, "--help")
        assert page.returncode == 0
        assert page.stdout.startswith(f"Usage: mtfast {command} ")
    versions = call("--version").stdout.splitlines()
    assert versions[0] == f"mtfast {mtfast.__version__}"
    assert f"numpy {np.__version__}" in versions
    assert call("-h").stdout == done.stdout


LIGHT = """
import sys
before = set(sys.modules)
import mtfast
mtfast.__all__, dir(mtfast)
{code}
heavy = {{"numpy", "numba", "zarr", "dask", "imagecodecs", "rich", "PIL", "msgspec"}}
print(*sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("", ""),
        ("import mtfast.cli", ""),
        ("mtfast.MtfastError", ""),
        ("mtfast.RunTable", "numpy"),
        ("mtfast.open(sys.argv[1])['train'].semantic(0)", "imagecodecs msgspec numpy"),
        ("mtfast.open(sys.argv[1])['train'].instances(0)", "imagecodecs msgspec numpy"),
    ],
)
def test_heavy_packages_are_imported_when_needed(small_set, tmp_path, code, loaded):
    store = mtfast.convert(small_set, tmp_path / "set.zarr", splits=["train"], images="none")
    script = LIGHT.format(code=code)
    done = subprocess.run(
        [sys.executable, "-c", script, store], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == loaded


def test_only_a_process_of_its_own_collects_seldom(monkeypatch):
    """A program that calls the command line keeps its garbage collector as it is."""
    before = gc.get_threshold()
    monkeypatch.setattr(sys, "argv", ["mtfast", "--version"])
    try:
        for arguments, changed in ((["--version"], False), (None, True)):
            with pytest.raises(SystemExit, match="0"):
                main(arguments)
            assert (gc.get_threshold() != before) == changed
    finally:
        gc.set_threshold(*before)


def test_public_names():
    assert set(mtfast.__all__) <= set(dir(mtfast))
    for name in mtfast.__all__:
        assert getattr(mtfast, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'opn'"):
        mtfast.opn
    assert Path(mtfast.__file__).with_name("py.typed").exists()
