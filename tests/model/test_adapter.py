"""Adapters' folders: what is read of them, and what is refused before a model is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ochat_eval.config.compose import load
from ochat_eval.model.adapter import adapters_of, check_base, check_chat, places
from ochat_eval.model.model import Model
from ochat_eval.records import UserError
from tests.lora import UP, adapter


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[a=/x/y, b-1=/z]", ["a=/x/y", "b-1=/z"]),
        ("a=/x/y", ["a=/x/y"]),
        ("[a=/epoch=3-step=12]", ["a=/epoch=3-step=12"]),
        ("['a=/x, y','b=/z]']", ["a=/x, y", "b=/z]"]),
        ("[]", []),
    ],
)
def test_the_option_as_a_shell_gives_it(written, read):
    assert load([f"model.adapters={written}"]).model.adapters == read


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["/x"], "'/x' is no NAME=PATH"),
        (["a="], "'a=' is no NAME=PATH"),
        (["../a=/x"], "a name has letters"),
        ([".a=/x"], "a name has letters"),
        (["a:b=/x"], "a name has letters"),
        (["a=/x", "a=/y"], "a is given twice"),
    ],
)
def test_names_that_cannot_be(entries, said):
    with pytest.raises(UserError, match=said):
        places(entries)


def _config(**values: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return change


def _tensors(**shapes: tuple[int, ...]) -> Callable[[Path], object]:
    held = {f"base_model.model.m.lora_{n}.weight": np.zeros(s, "f4") for n, s in shapes.items()}
    return lambda folder: save_file(held, folder / "adapter_model.safetensors")


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "adapter_config.json").unlink(), "it has no adapter_config.json"),
    (lambda f: (f / "adapter_config.json").write_text('{"r"'), "cannot be read whole"),
    (lambda f: (f / "adapter_config.json").write_text("[" * 9000), "cannot be read whole"),
    (lambda f: (f / "adapter_config.json").write_text("[]"), "holds no JSON object"),
    (_config(r="8"), "adapter_config.json: Expected `int`, got `str`"),
    (_config(r=0), "adapter_config.json: Expected `int` >= 1"),
    (_config(rank_pattern={"q": -1}), "Expected `int` >= 1"),
    (_config(peft_type="IA3"), "it is a IA3 adapter; there is LoRA only"),
    (lambda f: (f / "adapter_model.safetensors").unlink(), "it has no adapter_model.safetensors"),
    (lambda f: (f / "adapter_model.safetensors").write_bytes(b"\xff" * 40), "header is not whole"),
    (_tensors(x=(1, 1)), "has no LoRA matrices"),
    (_tensors(A=(2, 4)), "has one of two matrices of m"),
    (_tensors(A=(2, 4), B=(4, 3)), "the matrices of m do not fit each other"),
]


@pytest.mark.parametrize(("damage", "said"), BROKEN)
def test_a_broken_one_is_one_line_with_its_name(tmp_path, damage, said):
    damage(adapter(tmp_path / "x"))
    with pytest.raises(UserError) as refused:
        adapters_of(Model(path="m", adapters=[f"mine={tmp_path / 'x'}"]))
    assert str(refused.value).startswith(f"adapter mine: {tmp_path / 'x'}")
    assert said in str(refused.value) and "\n" not in str(refused.value)


def read(folder: Path):
    [one] = adapters_of(Model(path="m", adapters=[f"a={folder}"]))
    return one


def test_which_adapter_it_is_hangs_on_both_files_and_not_on_the_folder(tmp_path):
    one = read(adapter(tmp_path / "one"))
    assert (one.rank, one.base, one.shapes) == (4, "tiny", {UP: (64, 64)})
    (tmp_path / "one" / "README.md").write_text("saved with it")
    assert read(tmp_path / "one").digest == one.digest
    assert read(adapter(tmp_path / "copy")).digest == one.digest
    assert read(adapter(tmp_path / "trained", seed=1)).digest != one.digest
    assert read(adapter(tmp_path / "scaled", lora_alpha=8)).digest != one.digest
    assert read(adapter(tmp_path / "ranks", rank_pattern={"up_proj": 16})).rank == 16


def test_one_of_another_base_is_refused(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    weights = {f"model.layers.{i}.mlp.up_proj.weight": np.zeros((64, 32), "f4") for i in (0, 1)}
    save_file(weights, base / "model.safetensors")
    fits = adapter(tmp_path / "fits", shape=(64, 32))
    for name, folder, said in (
        ("fits", fits, None),
        ("shape", adapter(tmp_path / "shape"), f"changes {UP} as one of 64 x 64, which is 64 x 32"),
        ("other names", adapter(tmp_path / "names", module="visual.up_proj"), None),
    ):
        if said is None:
            check_base(read(folder), Model(path="base"), base)
            continue
        with pytest.raises(UserError, match="made for another base, tiny") as refused:
            check_base(read(folder), Model(path="base"), base)
        assert said in str(refused.value), name
    two = read(fits)
    two.shapes["model.layers.2.mlp.up_proj"] = (64, 32)
    with pytest.raises(UserError, match=r"changes model.layers.2.mlp.up_proj, which base has not"):
        check_base(two, Model(path="base"), base)
    packed = {f"{UP}.weight": np.zeros((512, 1), "u1")}
    save_file(packed, base / "model.safetensors")
    check_base(read(fits), Model(path="base"), base)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("chat_template.jinja", "{{ messages }}\n", None),
        ("chat_template.jinja", "{{ 1 }}", "another chat template than its base"),
        ("tokenizer_config.json", '{"chat_template": "{{ 1 }}"}', "another chat template"),
        ("tokenizer_config.json", '{"chat_template": 7}', None),
        ("tokenizer_config.json", "{", "tokenizer_config.json cannot be read whole"),
        ("tokenizer.json", '{"added_tokens": [{"content": "<a>"}]}', None),
        ("tokenizer.json", '{"added_tokens": [{"content": "<new>"}]}', r"not \(<new>\): merge it"),
    ],
)
def test_what_a_trainer_saved_with_it_must_be_the_bases(tmp_path, file, text, said):
    folder = adapter(tmp_path / "x")
    (folder / file).write_text(text)
    if said is None:
        check_chat(read(folder), "{{ messages }}", {"<a>", "b"})
        return
    with pytest.raises(UserError, match=said):
        check_chat(read(folder), "{{ messages }}", {"<a>", "b"})
    if "template" in said:
        check_chat(read(folder), None, {"<a>", "b"})  # the user chose one
