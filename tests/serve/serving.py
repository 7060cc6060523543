"""A running server for the tests of `ochat_eval.serve`, and a small model that has conditions."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ochat_eval.model.tokenizer import SentencePieceTokenizer
from tests.conftest import command, environment
from tests.model.test_chat import make_backend, mistral_model

READY_SECONDS = 900
ONE_LESS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
"""vLLM's engine computes in its own process, without a worker: one process less to import it."""
CLIENT = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0))
"""A connection for each request, as `httpx.post` has; that reads all certificates anew: 40 ms."""
THE = 415
"""The tiny model's token `▁The`: a blank and a word."""


@dataclass
class Server:
    process: subprocess.Popen[str]
    port: int
    folder: Path
    key: str | None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def post(self, path: str, body: object, **options: object) -> httpx.Response:
        return CLIENT.post(self.url + path, json=body, headers=self.headers, timeout=600, **options)

    def running(self) -> int:
        """How many requests are in the engine, as its metrics say."""
        lines = CLIENT.get(f"{self.url}/metrics", timeout=60).text.splitlines()
        [line] = [x for x in lines if x.startswith("vllm:num_requests_running{")]
        return int(float(line.rsplit(" ", 1)[1]))

    def end(self) -> int:
        """SIGTERM, and how the process ends."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def begin(folder: Path, *options: str, key: str | None = None, **changes: str) -> Server:
    """Starts the server."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            command("serve", f"port={port}", *options),
            cwd=folder,
            env=environment(**changes),
            stdout=said,
            stderr=said,
            text=True,
            start_new_session=True,
        )
    return Server(process, port, folder, key)


def launch(folder: Path, *options: str, key: str | None = None, **changes: str) -> Server:
    """Starts the server and waits until it answers; fails if it ends before."""
    server = begin(folder, *options, key=key, **changes)
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        assert server.process.poll() is None, server.said
        try:
            if CLIENT.get(f"{server.url}/health", timeout=30).status_code == 200:
                return server
        except httpx.TransportError:
            time.sleep(0.2)
    stop(server)
    raise AssertionError(f"not ready: {server.said}")


def stop(server: Server) -> None:
    """Kills what is left of a server."""
    if server.process.poll() is None:
        os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()


class Servers:
    """The servers of these tests: one for each command line, until a test ends it."""

    def __init__(self, folders: pytest.TempPathFactory):
        self._folders = folders
        self._launched: dict[tuple[object, ...], Server] = {}

    def running(self, *options: str, key: str | None = None, **changes: str) -> Server:
        """The server with these options; it starts where there is none, or where it has ended.

        Args:
            key: which of its keys is used.
        """
        asked = (options, tuple(changes.items()))
        server = self._launched.get(asked)
        if server is None or server.process.poll() is not None:
            folder = self._folders.mktemp("server")
            server = self._launched[asked] = launch(folder, *options, **changes)
        return dataclasses.replace(server, key=key)

    def stop(self) -> None:
        for server in self._launched.values():
            stop(server)


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that tests share, as each takes half a minute to start."""
    shared = Servers(tmp_path_factory)
    yield shared
    shared.stop()


KEYS = ("first-secret", "second-secret", "bad-key", *(f"good-key-{i}" for i in range(64)))
"""Those that the shared server of the tiny model takes."""


def tiny_server(servers: Servers, tiny: list[str], key: str) -> Server:
    """The shared server of the tiny model: at most 64 answers at once, a log without texts."""
    return servers.running(
        *tiny,
        "log_file=log.jsonl",
        "max_body_bytes=200000",
        "engine.max_num_seqs=64",
        key=key,
        OCHAT_EVAL_API_KEYS=" ".join(KEYS),
        **ONE_LESS,
    )


def make_tiny(folder: Path) -> list[str]:
    """A Mistral of random weights with OpenChat's tokenizer, and the options that serve it.

    What it says is noise, but its prompts and conditions are OpenChat's.
    """
    options = ["model=openchat_3.5_0106", f"model.path={folder}", "model.context=16384"]
    if folder.exists():
        return options
    import torch
    from tokenizers import decoders
    from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

    sentencepiece = SentencePieceTokenizer(mistral_model(), {"<|end_of_turn|>": 32000})
    backend = make_backend(sentencepiece, lambda i, piece: True)
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    ends = {"bos_token": "<s>", "eos_token": "<|end_of_turn|>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **ends).save_pretrained(folder)
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=32002,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=16384,
        bos_token_id=1,
        eos_token_id=32000,
        dtype=torch.bfloat16,
    )
    MistralForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return options


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options of a tiny model with OpenChat's chat format; made once, whoever imports this."""
    return make_tiny(tmp_path_factory.getbasetemp() / "tiny")
