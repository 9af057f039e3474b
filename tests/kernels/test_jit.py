"""Machine code on disk: shared, keyed on what matters, and not needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numba
import pytest

import mtfast.kernels
from mtfast.kernels.jit import cache_key

KERNELS = Path(mtfast.kernels.__file__).parent
SOURCES = sorted(KERNELS.rglob("*.py"))

compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners of files")

# What mtfast logs is shown by programs that ask for it.
SHOW_WARNINGS = """
import logging
logging.basicConfig(format="%(message)s")
"""
# The module compiles one kernel. Printed is how many were not found on disk.
USE_KERNEL = """
import numpy as np
from mtfast.kernels import jit
from mtfast.kernels.rle.ragged import gather_pieces
out = np.empty(5, np.uint8)
offsets = np.array([0, 2, 3])
n = gather_pieces(np.frombuffer(b"abc", np.uint8), offsets, np.array([1, 0, 1]), out)
assert out[:n].tobytes() == b"cabc", out
print(jit.COMPILED.count("mtfast.kernels.rle.ragged.gather_pieces"))
"""
# Printed is how many functions that read objects were not found on disk.
USE_BUILTINS = """
from mtfast import mask
from mtfast.kernels import jit
rles = [{"size": [2, 2], "counts": text} for text in (b"22", "13")]
assert mask.area(rles).tolist() == [2, 3]
assert mask.toBbox(rles[0]).tolist() == [1, 0, 1, 2]
assert mask.iou(rles, rles[:1], [False]).tolist() == [[1], [2 / 3]]
assert mask.merge(rles, True)["counts"] == b"22"
assert mask.frPyObjects([[0, 0, 2, 0, 2, 2]], 2, 2)
assert mask.frPyObjects({"size": [2, 2], "counts": [2, 2]}, 2, 2) == rles[0]
assert mask.encode(mask.decode(rles[0])) == rles[0]
print(sum(name.startswith("mtfast.kernels.objects.") for name in jit.COMPILED))
"""
FOUND, COMPILED = "0\n", "1\n"

# What a process meets without a home folder and without an entry in the list of users.
NO_HOME = """
import os
import pwd
def no_entry(uid):
    raise KeyError(uid)
pwd.getpwuid = no_entry
"""
# Writing to a file fails, as on a full disk; making one does not.
FULL_DISK = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
"""
ANOTHER_USER = """
import os
os.getuid = lambda: 4242
"""


def run(script: str, tmp_path: Path, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run a script that sees no folder but those below tmp_path; None removes a variable."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    variables = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    variables.update((k, v) for k, v in environment.items() if v is not None)
    for name in (k for k, v in environment.items() if v is None):
        variables.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SHOW_WARNINGS + script],
        capture_output=True,
        text=True,
        env=variables,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    return done


def code_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.nbc"))


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory) -> Path:
    """A cache with the code of the kernel."""
    folder = tmp_path_factory.mktemp("compiled")
    assert run(USE_KERNEL, folder).stdout == COMPILED
    return folder / "cache"


@pytest.fixture
def cache(compiled_once, tmp_path) -> Path:
    """A copy, which is the cache of what is run."""
    return Path(shutil.copytree(compiled_once, tmp_path / "cache"))


@compiled
def test_several_processes_start_on_an_empty_cache(tmp_path):
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda _: run(USE_KERNEL, tmp_path), range(4)))
    assert {d.stderr for d in done} == {""}
    assert run(USE_KERNEL, tmp_path).stdout == FOUND
    (folder,) = (tmp_path / "cache").iterdir()
    assert folder.name == f"kernels-{cache_key()}"
    (file,) = folder.iterdir()
    assert file.name.startswith("mtfast.kernels.rle.ragged.gather_pieces-")
    if os.name == "posix":
        assert folder.stat().st_mode & 0o077 == 0


@compiled
def test_builtin_functions_come_from_disk(tmp_path):
    """Objects of Python lie elsewhere in each process, and the code on disk works in all."""
    for expected in (None, "0\n"):
        done = run(USE_BUILTINS, tmp_path, NUMBA_CACHE_DIR=os.environ.get("NUMBA_CACHE_DIR"))
        assert done.stderr == ""
        assert expected in (None, done.stdout)


@compiled
def test_code_on_disk_works_without_numba(tmp_path):
    script = f"{USE_KERNEL}import sys\nprint('numba' in sys.modules)"
    assert run(script, tmp_path).stdout == "1\nTrue\n"
    assert run(script, tmp_path).stdout == "0\nFalse\n"


@compiled
def test_threads_that_call_a_kernel_first_at_once(tmp_path):
    script = USE_KERNEL.replace(
        "n = gather_pieces(",
        """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
barrier = Barrier(8)
def call(k):
    mine = np.empty(5, np.uint8)
    barrier.wait()
    gather_pieces(np.frombuffer(b"abc", np.uint8), offsets, np.array([1, 0, 1]), mine)
    return mine[:4].tobytes()
with ThreadPoolExecutor(8) as threads:
    assert set(threads.map(call, range(8))) == {b"cabc"}
n = gather_pieces(""",
    )
    for expected in (COMPILED, FOUND):
        assert run(script, tmp_path).stdout == expected


@compiled
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked")
@pytest.mark.usefixtures("cache")
def test_a_process_that_is_forked_before_the_first_call(tmp_path):
    script = USE_KERNEL.replace(
        "n = gather_pieces(",
        "child = os.fork()\nn = gather_pieces(",
    )
    script = f"import os\n{script}if child:\n    assert os.wait()[1] == 0\n"
    # Two processes write to one pipe.
    assert run(script, tmp_path).stdout.replace("\n", "") == "00"


@compiled
@pytest.mark.parametrize("setting", ["BOUNDSCHECK=1", "ENABLE_AVX=0", "file", "program"])
def test_settings_of_numba_are_found_before_it_is_imported(setting, tmp_path, cache):
    """The code for them is not the one that is used without."""
    script, variables = USE_KERNEL, {}
    if "=" in setting:
        name, value = setting.split("=")
        variables = {f"NUMBA_{name}": value}
    elif setting == "file":
        (tmp_path / ".numba_config.yaml").write_text("boundscheck: 1\n")
    else:
        script = f"import numba\nnumba.config.BOUNDSCHECK = 1\n{USE_KERNEL}"
    assert run(script, tmp_path, **variables).stdout == COMPILED
    assert run(script, tmp_path, **variables).stdout == FOUND
    assert len(list(cache.iterdir())) == 2


@compiled
def test_checked_code_has_a_cache_of_its_own(tmp_path):
    for checked in "01":
        assert run(USE_KERNEL, tmp_path, NUMBA_BOUNDSCHECK=checked).stdout == COMPILED
    assert len(list((tmp_path / "cache").iterdir())) == 2


@compiled
def test_code_for_another_processor_is_another_file(tmp_path, cache):
    other = "from llvmlite import binding\nbinding.get_host_cpu_name = lambda: 'other'"
    assert run(other + USE_KERNEL, tmp_path).stdout == COMPILED
    assert len(code_files(cache)) == 2


@compiled
def test_kernels_of_other_packages_are_not_kept(tmp_path):
    script = """
from mtfast.kernels.jit import i64, kernel
@kernel(i64(i64))
def double(n):
    return 2 * n
assert double(4) == 8
"""
    run(script, tmp_path)
    assert not code_files(tmp_path)


@compiled
@pytest.mark.parametrize("damage", ["empty", "four zeros", "zeros", "cut", "garbage", "one bit"])
def test_damaged_code_is_compiled_anew(damage, tmp_path, cache):
    (file,) = code_files(cache)
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(
        {
            "empty": b"",
            "four zeros": bytes(4),
            "zeros": bytes(len(whole)),
            "cut": whole[:middle],
            "garbage": b"garbage" * 1000,
            "one bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        }[damage]
    )
    done = run(USE_KERNEL, tmp_path)
    assert (done.stdout, done.stderr) == (COMPILED, "")
    assert run(USE_KERNEL, tmp_path).stdout == FOUND
    assert code_files(cache) == [file]


@compiled
@pytest.mark.usefixtures("cache")
def test_code_that_cannot_be_linked_is_compiled_anew(tmp_path):
    unlinkable = """
from llvmlite import binding
def link(*arguments):
    raise RuntimeError("a symbol is missing")
binding.JITLibraryBuilder.link = link
"""
    done = run(unlinkable + USE_KERNEL, tmp_path)
    assert (done.stdout, done.stderr) == (COMPILED, "")


@compiled
@pytest.mark.usefixtures("cache")
def test_code_that_is_deleted_after_the_import_is_compiled_anew(tmp_path):
    delete = "import shutil; shutil.rmtree(jit.CODE_FOLDER.path)"
    script = USE_KERNEL.replace("out =", f"{delete}\nout =")
    assert run(script, tmp_path).stdout == COMPILED


@compiled
def test_arrays_that_lie_otherwise_in_memory(tmp_path):
    """numba's dispatcher is taken, and nothing is kept."""
    otherwise = "from mtfast.kernels import layout\nlayout.ARRAY_FLAGS += 4\n"
    done = run(otherwise + USE_KERNEL, tmp_path)
    assert "arrays of numpy are laid out otherwise" in done.stderr
    assert not code_files(tmp_path)


@compiled
def test_a_folder_in_place_of_a_file_of_code(tmp_path, cache):
    (file,) = code_files(cache)
    file.unlink()
    file.mkdir()
    (file / "note").touch()
    done = run(USE_KERNEL, tmp_path)
    assert done.stdout == COMPILED
    assert_says_once(done.stderr)


def assert_says_once(stderr: str) -> None:
    """One line: what was found, what is done, what to do."""
    assert stderr.startswith("compiled kernels cannot be kept on disk")
    assert stderr.count("\n") == 1
    assert "set NUMBA_CACHE_DIR" in stderr


@compiled
@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk(tmp_path):
    two_modules = "import mtfast.kernels.rle.columns" + USE_KERNEL
    done = run(FULL_DISK + two_modules, tmp_path)
    assert done.stdout == COMPILED
    assert_says_once(done.stderr)
    (folder,) = (tmp_path / "cache").iterdir()
    assert not list(folder.iterdir())
    assert run(USE_KERNEL, tmp_path).stdout == COMPILED
    # What is there already is used.
    done = run(FULL_DISK + USE_KERNEL, tmp_path)
    assert (done.stdout, done.stderr) == (FOUND, "")


@compiled
@posix
def test_no_home_folder(tmp_path):
    """The temporary folder serves; nothing is made in a folder that is called "~"."""
    variables = dict.fromkeys(("HOME", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"))
    done = run(NO_HOME + USE_KERNEL, tmp_path, **variables)
    assert (done.stdout, done.stderr) == (COMPILED, "")
    assert run(NO_HOME + USE_KERNEL, tmp_path, **variables).stdout == FOUND
    assert [p.name for p in tmp_path.iterdir()] == ["tmp"]
    assert [p.name for p in (tmp_path / "tmp").iterdir()] == [f"mtfast-{os.getuid()}"]


@compiled
@posix
def test_no_home_folder_and_no_temporary_one(tmp_path):
    variables = dict.fromkeys(("HOME", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / f"mtfast-{os.getuid()}").touch()
    done = run(NO_HOME + USE_KERNEL, tmp_path, **variables)
    assert done.stdout == COMPILED
    assert_says_once(done.stderr)


@compiled
@posix
def test_the_decision_is_logged_under_mtfast(tmp_path):
    show = """
import logging
logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s", force=True)
"""
    variables = dict.fromkeys(("HOME", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"))
    done = run(NO_HOME + show + USE_KERNEL, tmp_path, **variables)
    assert done.stderr.startswith("mtfast.kernels.code_folder INFO compiled kernels are kept in ")
    assert done.stderr.count("\n") == 1


@compiled
@posix
@pytest.mark.usefixtures("cache")
def test_a_folder_of_another_user(tmp_path):
    """Neither the chosen folder nor the temporary one is used, whoever made it."""
    (tmp_path / "tmp" / "mtfast-4242").mkdir(mode=0o700, parents=True)
    done = run(ANOTHER_USER + USE_KERNEL, tmp_path)
    assert done.stdout == COMPILED
    assert_says_once(done.stderr)
    assert done.stderr.count("belongs to another user") == 2
    assert not code_files(tmp_path / "tmp")


@compiled
@posix
def test_a_link_of_another_user_in_the_temporary_folder(tmp_path):
    """It leads to a folder of this user now, and anywhere later."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "own").mkdir(mode=0o700)
    link = tmp_path / "tmp" / f"mtfast-{os.getuid()}"
    link.symlink_to(tmp_path / "own")
    try:
        os.lchown(link, 4242, -1)
    except PermissionError:
        pytest.skip("only root may give a link to another user")
    (tmp_path / "file").touch()
    done = run(USE_KERNEL, tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "file"))
    assert_says_once(done.stderr)
    assert not code_files(tmp_path)


@compiled
@posix
@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_a_folder_that_others_can_write_to(mode, tmp_path, cache):
    (folder,) = cache.iterdir()
    folder.chmod(mode)
    done = run(USE_KERNEL, tmp_path)
    assert done.stdout == COMPILED
    assert done.stderr.startswith("compiled kernels are kept in ")
    assert "other users can write to" in done.stderr
    assert len(code_files(tmp_path / "tmp")) == 1


@compiled
@posix
def test_a_folder_without_the_right_to_write(tmp_path):
    """Root may write everywhere, so the system's answer is given for it."""
    locked = """
import os
may = os.access
os.access = lambda path, mode: "cache" not in str(path) and may(path, mode)
"""
    done = run(locked + USE_KERNEL, tmp_path)
    assert done.stdout == COMPILED
    assert "cannot be written to" in done.stderr
    assert not code_files(tmp_path / "cache")
    assert len(code_files(tmp_path / "tmp")) == 1


@compiled
def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "cache").touch()
    done = run(USE_KERNEL, tmp_path)
    assert done.stdout == COMPILED
    assert done.stderr.count("\n") == 1
    assert run(USE_KERNEL, tmp_path).stdout == FOUND


def test_the_users_numba_configuration_stays(tmp_path):
    done = run(USE_KERNEL + "import numba; print(numba.config.CACHE_DIR)", tmp_path)
    assert done.stdout.split()[-1] == str(tmp_path / "cache")


def one_source_of_each_folder() -> list[Path]:
    by_folder = {source.parent: source for source in SOURCES}
    return sorted(by_folder.values())


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(KERNELS, tmp_path / "kernels"))


@pytest.mark.parametrize(
    "changed", one_source_of_each_folder(), ids=lambda p: p.relative_to(KERNELS).as_posix()
)
def test_a_change_of_a_source_in_any_folder_compiles_anew(changed, tmp_path):
    folder = copied(tmp_path)
    assert cache_key(folder) == cache_key()
    with (folder / changed.relative_to(KERNELS)).open("a") as source:
        source.write("# changed")
    assert cache_key(folder) != cache_key()


def test_folders_of_kernels():
    """Each is looked at by the test before this one."""
    folders = {p.parent.relative_to(KERNELS).as_posix() for p in one_source_of_each_folder()}
    assert {".", "files", "frames", "operations", "rle"} <= folders


def test_lines_that_move_between_sources_compile_anew(tmp_path):
    """Joined, the two sources read the same before and after."""
    folder = copied(tmp_path)
    (folder / "a.py").write_text("x = 1\ny = 2\n")
    (folder / "b.py").write_text("z = 3\n")
    before = cache_key(folder)
    (folder / "a.py").write_text("x = 1\n")
    (folder / "b.py").write_text("y = 2\nz = 3\n")
    assert cache_key(folder) != before


def test_a_source_that_is_renamed_compiles_anew(tmp_path):
    folder = copied(tmp_path)
    (folder / "a.py").write_text("x = 1\n")
    before = cache_key(folder)
    (folder / "a.py").rename(folder / "b.py")
    assert cache_key(folder) != before


@pytest.mark.parametrize(
    "flag", ["BOUNDSCHECK", "CPU_FEATURES", "CPU_NAME", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE"]
)
def test_a_flag_of_numba_compiles_anew(flag, monkeypatch):
    before = cache_key()
    monkeypatch.setattr(numba.config, flag, "another")
    assert cache_key() != before


@pytest.mark.parametrize("package", ["llvmlite", "numpy"])
def test_a_new_version_compiles_anew(package, monkeypatch):
    before = cache_key()
    monkeypatch.setattr(f"{package}.__version__", "0.0")
    assert cache_key() != before


def test_a_new_version_of_numba_compiles_anew(tmp_path, monkeypatch):
    """Its version is read from its file, as numba is not imported for it."""
    before = cache_key()
    source = Path(numba.__file__).with_name("_version.py").read_text()
    (tmp_path / "_version.py").write_text(source.replace(numba.__version__, "0.0"))
    elsewhere = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("mtfast.kernels.code_folder.find_spec", lambda name: elsewhere)
    assert cache_key() != before


def test_kernels_run_as_plain_python(tmp_path):
    script = USE_KERNEL[: USE_KERNEL.index("print")] + "print('plain')"
    done = run(script, tmp_path, NUMBA_DISABLE_JIT="1")
    assert (done.stdout, done.stderr) == ("plain\n", "")
    assert not (tmp_path / "cache").exists()
