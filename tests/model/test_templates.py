"""Chat templates of public shapes: our prompts are transformers' own; what is lost is refused."""

from __future__ import annotations

import dataclasses

import pytest

from ochat_eval.model.chat import load_format
from ochat_eval.model.model import Model
from ochat_eval.records import Message, UserError
from tests.model.shapes import SHAPES, Shape, tokenizer_of, write_model

SAID = {
    "one turn": [("user", "How many legs has a spider?")],
    "three turns": [("user", "é 1"), ("assistant", "It is 4."), ("user", "  and 2? \n")],
    "with a system message": [("system", "Be brief."), ("user", "2 + 2?")],
}
NO_SYSTEM = {"gemma", "mistral"}


def messages(said):
    return [Message(role, content) for role, content in said]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("shapes")
    return {name: write_model(root / name, shape) for name, shape in SHAPES.items()}


def load(folder, tell=lambda line: None, **changes):
    return load_format(Model(path=str(folder), **changes), folder, tell)


@pytest.mark.slow
@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("name", SHAPES)
def test_a_prompt_is_the_templates_own(folders, name, said):
    told = []
    shape, talk = SHAPES[name], SAID[said]
    chat = load(folders[name], told.append, template_kwargs=shape.variables)
    turns = [{"role": role, "content": content} for role, content in talk]
    if said == "with a system message" and name in NO_SYSTEM:
        turns = [{"role": "user", "content": "Be brief.\n\n2 + 2?"}]
    if name == "smollm_parts":
        for turn in turns:
            turn["content"] = [{"type": "text", "text": turn["content"]}]
    wanted = tokenizer_of(shape).apply_chat_template(
        turns, add_generation_prompt=True, return_dict=False, **shape.variables
    )
    assert chat.encode(messages(talk), None) == wanted
    assert chat.encode(messages(talk), None) == wanted
    folded = "takes no system message: its text goes in front of the first user message"
    assert sum(folded in line for line in told) == (said.startswith("with") and name in NO_SYSTEM)
    for _, content in talk:
        assert content.strip() in chat.decode(wanted)


ENDS = {
    "gemma": {"<eos>", "<end_of_turn>"},
    "qwen3_thinking": {"<|im_end|>", "<|endoftext|>"},
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_turn_ends_with_what_ends_it(folders, name):
    told = []
    chat, shape = load(folders[name], told.append), SHAPES[name]
    ends = ENDS.get(name, {shape.special[-1]})
    assert set(tokenizer_of(shape).convert_ids_to_tokens(chat.stop_token_ids)) == ends
    assert chat.stop_texts == ()
    assert bool(told) == (name == "gpt_oss"), "template and files agree in the others"


OPENED = {"deepseek_r1"}
MARKS = {
    **dict.fromkeys(("qwen3_thinking", "qwen3_not_thinking", "deepseek_r1"), "<think>"),
    "gpt_oss": "<|channel|>",
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_marks_of_a_thought_are_found_in_template_and_vocabulary(folders, name):
    thinking = load(folders[name], template_kwargs=SHAPES[name].variables).thinking
    assert (thinking.chosen.start if thinking.chosen else None) == MARKS.get(name)
    assert bool(thinking.chosen and thinking.chosen.opened) == (name in OPENED)
    assert thinking.hidden == (name == "gpt_oss")
    assert load(folders[name], thinking="none").thinking.marks == ()


# -- ends that files and template name differently --

PARTS = Shape(
    template=(
        "{% for m in messages %}{{ '<go>' + m.role + '<text>' + m.content + '<close>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<go>assistant' }}{% endif %}"
    ),
    special=("<go>", "<part>", "<text>", "<close>", "<done>"),
    ends=("<done>",),
)


def test_a_mark_between_two_parts_of_an_answer_is_no_end(tmp_path):
    told = []
    chat = load(write_model(tmp_path, PARTS), told.append)
    text = tokenizer_of(PARTS).convert_ids_to_tokens
    assert text(chat.stop_token_ids) == ["<done>"]
    [line] = told
    assert "<close> of the chat template only closes a part" in line
    assert "model.stop=['<close>']" in line
    chosen = load(tmp_path, told.append, stop=["<close>"])
    assert set(text(chosen.stop_token_ids)) == {"<close>", "<done>"}


def test_an_end_that_the_files_of_a_fine_tune_do_not_name_ends_a_turn(tmp_path):
    shape = dataclasses.replace(
        SHAPES["chatml"], special=("<|im_start|>", "<|im_end|>", "<|endoftext|>")
    )
    told = []
    chat = load(write_model(tmp_path, shape), told.append)
    text = tokenizer_of(shape).convert_ids_to_tokens
    assert set(text(chat.stop_token_ids)) == {"<|im_end|>", "<|endoftext|>"}
    assert len(told) == 1 and "model.stop=['<|endoftext|>'] leaves the other out" in told[0]
    only = load(tmp_path, told.append, stop=["<|endoftext|>"])
    assert text(only.stop_token_ids) == ["<|endoftext|>"]


def test_an_end_that_is_no_special_token_is_found(tmp_path):
    added = dataclasses.replace(
        SHAPES["phi"],
        special=("<|system|>", "<|user|>", "<|assistant|>", "<eos>"),
        added=("<|end|>",),
    )
    chat = load(write_model(tmp_path / "added", added))
    assert "<|end|>" in tokenizer_of(added).convert_ids_to_tokens(chat.stop_token_ids)
    plain = dataclasses.replace(added, added=())
    chat = load(write_model(tmp_path / "plain", plain))
    assert chat.stop_texts == ("<|end|>",), "several tokens: found as text"


def test_an_end_outside_the_vocabulary_is_passed_over_with_a_word(tmp_path):
    folder, told = write_model(tmp_path, SHAPES["phi"]), []
    (folder / "generation_config.json").write_text('{"eos_token_id": [9999]}')
    chat = load(folder, told.append)
    assert tokenizer_of(SHAPES["phi"]).convert_ids_to_tokens(chat.stop_token_ids) == ["<|end|>"]
    assert any("9999" in line and "passed over" in line for line in told)


# -- which template --


def test_templates_go_by_name_or_are_a_file(tmp_path):
    named = {"talk": SHAPES["phi"].template, "tools": SHAPES["phi"].template + "tools"}
    folder = write_model(tmp_path / "m", dataclasses.replace(SHAPES["phi"], template=named))
    with pytest.raises(UserError, match=r"has the chat templates talk, tools, none called default"):
        load(folder)
    with pytest.raises(UserError, match=r"model.template=tolls.*did you mean tools"):
        load(folder, template="tolls")
    own = tmp_path / "own.jinja"
    own.write_text(SHAPES["phi"].template + "mine")
    texts = {t: load(folder, template=t) for t in ("talk", "tools", str(own))}
    ends = {t: c.decode(c.encode([Message("user", "a")], None))[-5:] for t, c in texts.items()}
    assert ends == {"talk": "ant|>", "tools": "tools", str(own): ">mine"}


LOSES = {
    "every message": "{{ '<|user|>' }}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
    "the system message": (
        "{% for m in messages if m.role != 'system' %}{{ '<|' + m.role + '|>' + m.content + "
        "'<|end|>' }}{% endfor %}{{ '<|assistant|>' }}"
    ),
    "digits": (
        "{% for m in messages %}{{ '<|' + m.role + '|>' + (m.content | replace('2 + 2', '')) + "
        "'<|end|>' }}{% endfor %}{{ '<|assistant|>' }}"
    ),
}


@pytest.mark.parametrize("lost", LOSES)
def test_a_prompt_that_lacks_a_messages_text_is_refused(tmp_path, lost):
    folder = write_model(tmp_path, dataclasses.replace(SHAPES["phi"], template=LOSES[lost]))
    with pytest.raises(
        UserError, match=r"writes no message's text|message's text out of the prompt"
    ):
        load(folder).encode(messages(SAID["with a system message"]), None)


def test_a_base_model_gets_the_text_as_it_is(tmp_path):
    folder = write_model(tmp_path, SHAPES["llama3"])
    chat = load(folder, chat="raw", stop=["\\n\nQ:", "<|eot_id|>", "<own>"])
    ids = chat.encode([Message("user", "Q: 2 + 2?\nA:")], None)
    assert chat.decode(ids) == "<|begin_of_text|>Q: 2 + 2?\nA:"
    assert tokenizer_of(SHAPES["llama3"]).convert_ids_to_tokens(chat.stop_token_ids) == [
        "<|eot_id|>"
    ]
    assert chat.stop_texts == ("\n\nQ:", "<own>")
    hidden = chat.encode([Message("user", "a <|eot_id|> b")], None)
    assert not set(hidden) & set(chat.stop_token_ids), "special text stays text"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"template_kwargs": {"tokenize": True}}, "is no variable of a template"),
        ({"chat": "raw", "template": "x"}, "has no template of its own"),
        ({"thinking": "yes"}, "it is auto, none, or the two marks"),
        ({"thinking": ["<a>"]}, "it is auto, none, or the two marks"),
        ({"stop": ["<|im_ned|>"]}, "is no special token"),
    ],
)
def test_options_that_cannot_work_are_refused(folders, changes, says):
    with pytest.raises(UserError, match=says):
        load(folders["chatml"], **changes)


def test_a_variable_that_the_template_does_not_know_is_said(folders):
    told: list[str] = []
    load(folders["chatml"], told.append, template_kwargs={"enable_thinkin": False})
    assert any("changes nothing" in line and "enable_thinkin" in line for line in told)


@pytest.mark.slow
def test_a_dry_run_refuses_what_the_run_would_refuse(cli, tmp_path):
    folder = write_model(tmp_path / "m", SHAPES["chatml"])
    asked = ("task=gsm8k", "data=sample", f"model={folder}", "stage=plan")
    for option in ("model.template=nope", "model.chat=fastchat:vicunia"):
        done = cli(*asked, option)
        assert done.returncode == 2 and option in done.stderr, done.stderr
        assert "want of a tokenizer" not in done.stderr
    served = cli(*asked, "engine=openai", "engine.base_url=http://127.0.0.1:9/v1", "model.chat=x")
    assert served.returncode == 0, "the server writes the prompts"
    (folder / "tokenizer.json").write_text("{}")
    assert "for want of a tokenizer" in cli(*asked).stderr
