"""Machine code kept on disk between processes, in a folder that is keyed on what it depends on.

The key is a hash of all kernel sources, of the versions, and of the flags of numba that matter; the
processor is in the name of each file, as nodes of different kinds may share a home folder. numba
itself is asked for its flags only where one of them may be set: to import it takes 0.2 s.

``NUMBA_CACHE_DIR`` moves the folder.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import llvmlite
import numpy
from llvmlite import binding
from platformdirs import user_cache_path

from mtfast.errors import MtfastError

__all__ = ["CODE_FOLDER", "IS_COMPILED", "CodeFolder", "cache_key", "processor"]

logger = logging.getLogger(__name__)

# Flags of numba that change the machine code, by their names in numba.config, and what they are
# where nobody sets them.
_DEFAULTS = {
    "BOUNDSCHECK": None,
    "CPU_FEATURES": None,
    "CPU_NAME": None,
    "DEBUGINFO_DEFAULT": 0,
    "LOOP_VECTORIZE": 1,
    "OPT": 3,
    "SLP_VECTORIZE": 0,
}
# Environment variables that set them; numba reads them, and a file of settings.
_VARIABLES = (
    *(f"NUMBA_{flag}" for flag in _DEFAULTS if flag != "DEBUGINFO_DEFAULT"),
    "NUMBA_DEBUGINFO",
    "NUMBA_DISABLE_JIT",
    "NUMBA_ENABLE_AVX",
    "NUMBA_ENABLE_PROFILING",
)
_SETTINGS_FILE = ".numba_config.yaml"

_DIGEST_BYTES = 16

_NOT_KEPT = (
    "compiled kernels cannot be kept on disk, so each process compiles them again, which takes "
    "half a minute; set NUMBA_CACHE_DIR to a folder that you can write to"
)


def _is_configured() -> bool:
    """Whether numba may find a setting of the user."""
    return any(name in os.environ for name in _VARIABLES) or Path(_SETTINGS_FILE).exists()


def _config() -> Any:
    """Return numba's configuration, or None where all of it is as numba has it by itself."""
    if "numba" not in sys.modules and not _is_configured():
        return None
    import numba

    return numba.config


def _flags() -> dict[str, Any]:
    """Return the flags of numba that are not at their defaults."""
    config = _config()
    if config is None:
        return {}
    found = {name: getattr(config, name, None) for name in _DEFAULTS}
    flags = {name: value for name, value in found.items() if value != _DEFAULTS[name]}
    if _is_configured():
        # By default it follows from the processor.
        flags["ENABLE_AVX"] = config.ENABLE_AVX
    return flags


def _is_compiled() -> bool:
    config = _config()
    return config is None or not config.DISABLE_JIT


def _cache_dir() -> str:
    config = _config()
    return str(os.environ.get("NUMBA_CACHE_DIR", "") if config is None else config.CACHE_DIR)


IS_COMPILED = _is_compiled()
"""Whether kernels are compiled, and not run as plain Python."""


@cache
def processor() -> str:
    """Name what machine code of this process runs on.

    Returns
    -------
    str
        Platform, name of the processor and its features.
    """
    features = binding.get_host_cpu_features().flatten()
    return f"{binding.get_process_triple()} {binding.get_host_cpu_name()} {features}"


def _numba_version() -> bytes:
    """Return numba's file with its version, as numba is not imported."""
    found = find_spec("numba")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("numba is not installed; kernels need it; pip install numba")
    return Path(found.origin).with_name("_version.py").read_bytes()


def cache_key(folder: Path = Path(__file__).parent) -> str:
    """Hash what the machine code of the kernels depends on, apart from the processor.

    Parameters
    ----------
    folder : Path
        All Python sources below it count, by name and content.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    key = hashlib.sha256()
    for source in sorted(folder.rglob("*.py")):
        content = source.read_bytes()
        key.update(f"{source.relative_to(folder).as_posix()} {len(content)}\n".encode())
        key.update(content)
    versions = (_numba_version(), llvmlite.__version__, numpy.__version__, sys.version)
    key.update(repr((_flags(), versions)).encode())
    return key.hexdigest()[:16]


class CodeFolder:
    """Machine code kept on disk between processes; without a path nothing is kept.

    Parameters
    ----------
    path : Path, or None
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._writes = path is not None

    def has(self, name: str) -> bool:
        """Return whether something was saved under a name, whole or not."""
        return self.path is not None and (self.path / name).is_file()

    def load(self, name: str) -> bytes | None:
        """Return what was saved under a name; None if it is not there, or not whole."""
        if self.path is None:
            return None
        try:
            stored = (self.path / name).read_bytes()
        except OSError:
            # Not there, or not to be read: compiled anew, and replaced if the folder allows it.
            return None
        code = stored[_DIGEST_BYTES:]
        if stored[:_DIGEST_BYTES] == _digest(code):
            return code
        logger.info("%s is damaged; the kernel is compiled anew", self.path / name)
        return None

    def save(self, name: str, code: bytes) -> None:
        """Save under a name, whole or not at all; after a failure nothing more is saved."""
        if self.path is None or not self._writes:
            return
        # Only what is compiled is saved: a first call takes 7 ms less without these modules.
        from mtfast.atomic import write_file

        try:
            write_file(self.path / name, _digest(code) + code)
        except MtfastError as error:
            self._writes = False
            logger.warning("%s (%s)", _NOT_KEPT, error)


def _digest(code: bytes) -> bytes:
    return hashlib.blake2b(code, digest_size=_DIGEST_BYTES).digest()


def _kernel_folder() -> Path | None:
    """Return a folder that this user alone can write to, or None."""
    key = f"kernels-{cache_key()}"
    refused: list[str] = []
    for find in (_first_choice, _in_temporary_folder):
        try:
            folder = find() / key
            _make_private(folder)
        except (OSError, RuntimeError) as error:
            refused.append(" ".join(str(error).split()))
            continue
        if refused:
            # What the user has asked for and not got is worth a warning.
            level = logging.WARNING if _cache_dir() else logging.INFO
            logger.log(level, "compiled kernels are kept in %s: %s", folder, refused[0])
        return folder
    logger.warning("%s (%s)", _NOT_KEPT, "; ".join(refused))
    return None


def _first_choice() -> Path:
    """Return the folder that the user has named, or the one that the platform has for caches."""
    if _cache_dir():
        return Path(_cache_dir())
    # Without a home folder platformdirs raises RuntimeError, or returns "~/.cache" as it is.
    folder = user_cache_path("mtfast")
    if not folder.is_absolute():
        raise RuntimeError(f"{folder} is not a path: this user has no home folder")
    return folder


def _in_temporary_folder() -> Path:
    """Return a folder of this user below the one that all users share."""
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"mtfast-{user}"
    _make_private(folder)
    return folder


def _make_private(folder: Path) -> None:
    """Make a folder that nobody else can write to: what is in it is run as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        # Of a link itself, as its owner can point it elsewhere.
        status = folder.lstat()
        if status.st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
        if status.st_mode & 0o022 and not folder.is_symlink():
            raise PermissionError(f"other users can write to {folder}")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written to")


CODE_FOLDER = CodeFolder(_kernel_folder() if IS_COMPILED else None)
"""The folder of this process."""
