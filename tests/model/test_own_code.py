"""Tokenizers with code of their own, and slow ones: only where they are asked for by name."""

from __future__ import annotations

import json

import pytest

from ochat_eval.model.chat import load_format
from ochat_eval.model.model import Model
from ochat_eval.records import Message, UserError

CODE = """
from transformers import PreTrainedTokenizer


class Bytes(PreTrainedTokenizer):
    def __init__(self, **options):
        super().__init__(**options)

    @property
    def vocab_size(self):
        return 256

    def get_vocab(self):
        return {**{chr(i): i for i in range(256)}, **self.added_tokens_encoder}

    def _tokenize(self, text, **_):
        return list(text.encode().decode("latin1"))

    def _convert_token_to_id(self, token):
        return ord(token)

    def _convert_id_to_token(self, index):
        return chr(index)

    def convert_tokens_to_string(self, tokens):
        return "".join(tokens).encode("latin1").decode(errors="replace")

    def save_vocabulary(self, folder, filename_prefix=None):
        return ()
"""


@pytest.fixture
def folder(tmp_path):
    """A model whose slow tokenizer is its own code; it tells when it is run."""
    (tmp_path / "bytes.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{CODE}")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    settings = {
        "auto_map": {"AutoTokenizer": ["bytes.Bytes", None]},
        "tokenizer_class": "Bytes",
        "eos_token": "<|end|>",
        "chat_template": "{% for m in messages %}{{ m.role + ':' + m.content + '<|end|>' }}"
        "{% endfor %}assistant:",
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    return tmp_path


@pytest.mark.slow
def test_code_that_comes_with_a_model_runs_only_if_it_is_asked_for(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    with pytest.raises(UserError, match=r"code of its own: .*model\.trust_remote_code=true"):
        load_format(Model(path=str(folder)), folder)
    assert not (folder / "ran").exists()
    model = Model(path=str(folder), trust_remote_code=True)
    assert model.changes() == {"trust_remote_code": True}, "so the manifest says it"
    chat = load_format(model, folder)
    assert (folder / "ran").exists()
    ids = chat.encode([Message("user", "é 1")], None)
    assert ids[: len(b"user:\xc3\xa9 1")] == list(b"user:\xc3\xa9 1")
    assert chat.decode(ids) == "user:é 1<|end|>assistant:"
    assert chat.stop_token_ids == (256,)
    with pytest.raises(UserError, match="this slow tokenizer cannot write that"):
        chat.encode([Message("user", "a <|end|> b")], None)
