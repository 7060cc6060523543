"""What each prompt of each benchmark is as token ids, encoded as a whole: digests on record.

Whole encodings of 35,806 prompts take minutes, so they are made where one of these changes on
purpose: the prompts, a chat format, a tokenizer. As a script it records them anew, with
OCHAT_EVAL_DATA: `python -m tests.model.whole_encodings`.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from hashlib import sha256

from ochat_eval.benchmark.selection import Selection
from ochat_eval.config.load import job
from ochat_eval.model.chat import ChatFormat, load_format
from ochat_eval.model.chat.conversation import first_prompt
from ochat_eval.model.chat.openchat import OpenChatFormat
from ochat_eval.model.tokenizer import SentencePieceTokenizer
from ochat_eval.model.weights import prepare
from ochat_eval.records import Item
from tests.conftest import CHECKOUT
from tests.model.configured import configured
from tests.model.test_chat import CONDITIONS, mistral_model

RECORDED = CHECKOUT / "tests/cases/whole_encodings.json"


def formats() -> dict[str, ChatFormat]:
    """A chat format of each kind of tokenizer: SentencePiece, and byte pairs in words."""
    pieces = SentencePieceTokenizer(mistral_model(), {"<|end_of_turn|>": 32000})
    small = configured("smollm2_135m")
    return {
        "openchat": OpenChatFormat(pieces, CONDITIONS, "GPT4 Correct"),
        "smollm2_135m": load_format(small, prepare(small)),
    }


def prompts() -> dict[str, list[Item]]:
    """The items of every benchmark, in the order in which a run asks them."""
    tasks = job(["task=all", "data=full", "model=openchat_3.5_0106"]).tasks.values()
    return {task.name: list(Selection(task, 0)) for task in tasks}


def token_ids(item: Item, chat: ChatFormat) -> list[int]:
    """An item's first prompt, with its condition where the format has conditions."""
    condition = item.condition if isinstance(chat, OpenChatFormat) else None
    return chat.encode(first_prompt(item, None), condition)


def digest(prompts: Iterable[list[int]]) -> str:
    """SHA-256 over how long each prompt is, and its ids."""
    found = sha256()
    for ids in prompts:
        found.update(array("q", [len(ids), *ids]).tobytes())
    return found.hexdigest()


def main() -> None:
    asked = prompts()
    recorded = {
        name: {task: digest(token_ids(i, chat) for i in items) for task, items in asked.items()}
        for name, chat in formats().items()
    }
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
