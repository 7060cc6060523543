"""The vLLM that is installed: what it preloads from a path with a blank."""

from __future__ import annotations

import ctypes.util
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ochat_eval.engines import vllm_build
from ochat_eval.records import UserError
from tests.conftest import environment

THREADS = """
import sys
from ochat_eval.engines import vllm_build
assert "torch" not in sys.modules
vllm_build.import_vllm("a test")
"""
CLASS = """
vllm_build.know_model_class(sys.argv[1])
vllm_build.know_model_class("ORG/NAME")
from vllm import ModelRegistry
known = ModelRegistry.models["LlamaForCausalLM"].inspect_model_cls()
print(known.architecture, known.is_text_generation_model)
"""
NO_GPU = """
from vllm import platforms
from vllm.platforms.interface import UnspecifiedPlatform
platforms._current_platform = UnspecifiedPlatform()  # as that of a vLLM for GPUs where none is
try:
    vllm_build.import_vllm("a test")
except vllm_build.UserError as e:
    print(e)
"""


def importing(folder: Path, script: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """A process that imports vLLM, whose OpenMP tells of what it has read."""
    env = environment(OMP_DISPLAY_ENV="true", VLLM_CACHE_ROOT=str(folder / "cache"))
    env.pop("OMP_WAIT_POLICY", None)
    command = [sys.executable, "-c", script, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=env | changes, check=True)


@pytest.mark.vllm
def test_threads_sleep_and_a_class_is_known_without_a_process(tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["NoSuch", "LlamaForCausalLM"]}')
    done = importing(tmp_path, THREADS + CLASS)
    assert done.stdout.split() == ["LlamaForCausalLM", "True"]
    assert not (tmp_path / "cache/modelinfos").exists(), "where vLLM keeps what its process found"
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr, "as torch's OpenMP has read it"


@pytest.mark.vllm
def test_threads_do_as_they_are_told_and_no_gpu_is_one_line(tmp_path):
    done = importing(tmp_path, THREADS + NO_GPU, OMP_WAIT_POLICY="active")
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in done.stderr
    assert done.stdout.startswith("a test finds no GPU that it may use"), done.stdout
    assert "make setup GPU=0" in done.stdout and done.stdout.count("\n") == 1


SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from ochat_eval.engines.vllm_build import _preload_by_plain_names
_preload_by_plain_names()
found = os.environ.get("LD_PRELOAD", "")
print(found)
if found:
    print(sorted(os.path.realpath(one) for one in found.split(":")))
    folder = os.path.dirname(found.split(":")[0])
    print(oct(os.stat(folder).st_mode & 0o777))
sys.stdout.flush()
os.execv("/bin/cat", ["cat", "/proc/self/maps"]) if sys.argv[2:] else None
"""


def preloading(folder: Path, *more: str, **changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", "-c", SCRIPT, str(folder), *more]
    env = environment(**changes)
    packages = os.pathsep.join(one for one in sys.path if one.endswith("site-packages"))
    env["PYTHONPATH"] = f"{env['PYTHONPATH']}{os.pathsep}{packages}"
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd="/")


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Packages in a path with blanks and a colon, with libraries where vLLM looks for them."""
    real = ctypes.util.find_library("m") or "libm.so.6"
    library = next(
        file for folder in ("/lib", "/usr/lib") for file in Path(folder).glob(f"**/{real}")
    )
    folder = tmp_path / "my models: new" / "packages"
    for name in ("torch/lib/libgomp.so.1", "vllm/libs/libtcmalloc_minimal.so.4"):
        (folder / name).parent.mkdir(parents=True)
        shutil.copy(library, folder / name)
    (folder / "torch/__init__.py").touch()
    return folder


def test_without_vllm_it_is_said_how_to_get_it(monkeypatch):
    """Also to who has a wheel, and no Makefile."""
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r"engine=vllm needs vLLM .*ochat-eval\[vllm\].*make setup"):
        vllm_build.import_vllm("engine=vllm")


def test_links_that_a_killed_process_left_are_swept_and_nothing_else(packages):
    killed = Path(preloading(packages, "killed").stdout.partition(":")[0]).parent
    ours, stranger, lone = (Path(f"{vllm_build._LINKS}test-{n}-{os.getpid()}") for n in range(3))
    for folder in (killed, ours, stranger):
        folder.mkdir(exist_ok=True)
        (folder / "lib.so").touch()
    lone.symlink_to(packages)
    used = os.open(ours, os.O_DIRECTORY)
    fcntl.flock(used, fcntl.LOCK_SH)
    try:
        if os.getuid() == 0:
            os.chown(stranger, 12345, 12345)
        assert (killed / "libgomp.so.1").is_symlink(), "it ended without a word to Python"
        assert preloading(packages).returncode == 0
        assert not killed.exists() and (ours / "lib.so").exists() and any(packages.iterdir())
        assert (stranger / "lib.so").exists() or os.getuid() != 0
        os.close(used)
        assert preloading(packages).returncode == 0
        assert not ours.exists() and lone.is_symlink()
    finally:
        lone.unlink()
        for folder in (ours, stranger):
            shutil.rmtree(folder, ignore_errors=True)


def test_libraries_in_a_path_with_a_blank_are_preloaded_by_plain_names(packages):
    done = preloading(packages)
    assert done.returncode == 0, done.stderr
    named, real, mode = done.stdout.splitlines()
    assert " " not in named and named.count(":") == 1
    assert real == str(
        sorted(
            str(packages / one)
            for one in ("torch/lib/libgomp.so.1", "vllm/libs/libtcmalloc_minimal.so.4")
        )
    )
    assert mode == "0o700", "nobody else can put a file there"
    assert not Path(named.split(":")[0]).parent.exists(), "removed at the end"


def test_the_loader_takes_them_and_nothing_named_like_the_first_word(packages, tmp_path):
    decoy = tmp_path / "my"
    shutil.copy(packages / "torch/lib/libgomp.so.1", decoy)
    done = preloading(packages, "and then a process")
    assert done.returncode == 0 and done.stderr == "", "no complaint of ld.so"
    mapped = {line.rpartition("  ")[2].strip() for line in done.stdout.splitlines()[3:]}
    assert str(packages / "torch/lib/libgomp.so.1") in mapped
    assert str(decoy) not in mapped


def test_what_is_preloaded_already_stays(packages):
    own = str(packages / "torch/lib/libgomp.so.1").replace(" ", "-")
    done = preloading(packages, LD_PRELOAD="/nowhere/libgomp-mine.so")
    assert done.stdout.splitlines()[0].endswith("libtcmalloc_minimal.so.4:/nowhere/libgomp-mine.so")
    assert own not in done.stdout


def test_in_a_plain_path_nothing_is_changed(packages, tmp_path):
    plain = tmp_path / "plain"
    shutil.copytree(packages, plain)
    assert preloading(plain).stdout.splitlines()[:1] in ([""], [])


@pytest.mark.parametrize(
    ("arguments", "before", "then"),
    [
        ({}, None, "4"),
        ({}, "2", "2"),
        ({"kv_cache_memory_bytes": None}, None, "4"),
        ({"kv_cache_memory_bytes": 1 << 28}, "2", None),
    ],
)
def test_a_cache_that_is_asked_for_is_not_overruled_by_the_environment(arguments, before, then):
    if not vllm_build.on_cpu():
        pytest.skip("vLLM computes on a GPU here")
    os.environ.pop("VLLM_CPU_KVCACHE_SPACE", None)  # `kept_environment` puts all back
    if before is not None:
        os.environ["VLLM_CPU_KVCACHE_SPACE"] = before
    vllm_build.cpu_environment(1, arguments)
    assert os.environ.get("VLLM_CPU_KVCACHE_SPACE") == then
