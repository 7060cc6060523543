"""Beginnings that prompts share, tokenised once: the very same tokens, or whole encodings."""

from __future__ import annotations

import json
import random

import pytest

from ochat_eval.benchmark.selection import Selection
from ochat_eval.config.load import job
from ochat_eval.model.chat import load_format
from ochat_eval.model.chat.conversation import first_prompt
from ochat_eval.model.starts import SharedStarts, cuts_at_lines
from ochat_eval.model.tokenizer import HfTokenizer, SentencePieceTokenizer
from ochat_eval.model.weights import prepare
from ochat_eval.stages.plan import token_lengths
from tests.model.configured import configured
from tests.model.test_chat import make_backend, mistral_model
from tests.model.whole_encodings import RECORDED, digest, formats, prompts, token_ids

SHARED = (
    "Answer the questions.\n\nQ: Where is it? (A) here (B) there\nA: Let us think.\n"
    "  indented\n\ttab\n\nA line end. \nÉtude\n\n\n2 blanks  and ▁ a mark\r\n\r\nnew. " * 3
)
LAST = ["Q: one\nA:", "Q: one more\n\nA:", "\nQ", " \nQ", "1,234.5\n", "ÄQ", "a", "Q\u0301", "  "]
REPLACE = {"type": "Replace", "pattern": {"Regex": "\\n+"}, "content": "\n"}
LOOKS_BACK = {
    "type": "Split", "pattern": {"Regex": r"(?<=\n)\w+|\s+"}, "behavior": "Isolated",
    "invert": False,
}  # fmt: skip
TRUNCATION = {"direction": "Right", "max_length": 9, "strategy": "LongestFirst", "stride": 0}
ADDED = {
    "id": 256, "lstrip": False, "rstrip": False, "single_word": False, "special": False,
    "normalized": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def sentencepiece():
    return SentencePieceTokenizer(mistral_model(), {"<|end_of_turn|>": 32000})


@pytest.fixture(scope="module")
def small():
    model = configured("smollm2_135m")
    return load_format(model, prepare(model))


@pytest.fixture(scope="module")
def tokenizers(small, sentencepiece):
    """A whole encoding of each kind: byte pairs in words, the two of Mistral's without words."""
    mistral = HfTokenizer(make_backend(sentencepiece, lambda i, piece: True))
    bytes_in_words = HfTokenizer(small._backend)
    assert all(one.cuts_at_lines for one in (bytes_in_words, sentencepiece, mistral))
    return [one.encode_plain for one in (bytes_in_words, sentencepiece, mistral)]


def refused(line: str) -> None:
    raise AssertionError(line)


@pytest.mark.slow
def test_texts_with_a_common_beginning_have_the_tokens_of_each_as_a_whole(tokenizers):
    some = random.Random(5)
    texts = []
    for _ in range(150):  # any piece of the beginning, in any order, with any end
        start = SHARED[: some.choice([len(SHARED), some.randrange(200, len(SHARED))])]
        texts += [start + some.choice(LAST) + end for end in some.sample(LAST, 2)]
    for whole in tokenizers:
        calls = []
        sharing = SharedStarts(
            lambda t, whole=whole, calls=calls: calls.append(t) or whole(t), refused
        )
        assert [sharing(text) for text in texts] == [whole(text) for text in texts]
        assert len(set(calls) - set(texts)) > 100  # it did cut


def test_a_check_that_fails_is_said_once_and_all_is_whole_from_there_on():
    def odd(text: str) -> list[int]:  # the tokens tell how long the text is: no part is like it
        return [len(text), *text.encode()]

    said = []
    sharing = SharedStarts(odd, said.append)
    texts = [f"{'A line.' * 50}\nQ: {i}" for i in range(5)]
    assert [sharing(text) for text in texts] == [odd(text) for text in texts]
    assert len(said) == 1 and "as a whole from here on" in said[0]


@pytest.fixture(scope="module")
def bytes_only():
    """The settings of a tokenizer with a token for each byte."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert cuts_at_lines(backend)
    return json.loads(backend.to_str())


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": REPLACE},
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, REPLACE]}},
        {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [LOOKS_BACK]}},
        {"pre_tokenizer": {"type": "FixedLength", "length": 5}},
        {"truncation": TRUNCATION},
        {"added_tokens": [{**ADDED, "content": "\nA"}]},
        {"added_tokens": [{**ADDED, "content": "A", "lstrip": True}]},
        {"model": {"type": "WordLevel", "vocab": {"a": 0, "?": 1}, "unk_token": "?"}},
    ],
)
def test_a_tokenizer_that_could_see_across_a_line_end_gets_whole_texts(bytes_only, change):
    from tokenizers import Tokenizer

    assert not cuts_at_lines(Tokenizer.from_str(json.dumps({**bytes_only, **change})))


def test_a_token_that_straddles_a_line_end_forbids_the_cut(bytes_only):
    from tokenizers import Tokenizer

    for token, allowed in (("ĊA", False), (".Ċ", True), ("ĊĊ", True), ("Ċ1", True)):
        model = bytes_only["model"]
        vocab = {**model["vocab"], token: 256}
        merged = {**model, "vocab": vocab, "merges": [list(token)]}
        backend = Tokenizer.from_str(json.dumps({**bytes_only, "model": merged}))
        assert cuts_at_lines(backend) is allowed, token


@pytest.mark.slow
@pytest.mark.timeout(900)  # what differs is encoded as a whole
def test_every_prompt_of_every_benchmark_has_the_same_tokens(real_data):
    """As whole encodings, whose digests are on record."""
    recorded = json.loads(RECORDED.read_text())
    asked = prompts()
    assert sum(map(len, asked.values())) == 35_806
    for name, chat in formats().items():
        sharing = chat.sharing(refused)
        assert list(recorded[name]) == list(asked)
        for task, items in asked.items():
            if digest(token_ids(item, sharing) for item in items) != recorded[name][task]:
                anew = chat.sharing(refused)
                unlike = [i.id for i in items if token_ids(i, anew) != token_ids(i, chat)]
                pytest.fail(f"{name}, {task}: {unlike[:9] or 'as whole, which is not on record'}")


@pytest.mark.slow
def test_lengths_are_measured_in_order_whatever_the_threads(small):
    [task] = job(["task=gsm8k", "data=sample"]).tasks.values()
    items = list(Selection(task, 0)) * 60  # several threads' worth
    plain = [(i, len(small.encode(first_prompt(i, "Be brief."), None))) for i in items]
    assert list(token_lengths(items, "Be brief.", small)) == plain
