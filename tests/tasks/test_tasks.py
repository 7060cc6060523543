"""The benchmarks: prompts as published, quirks, sample items, and how answers are read."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ochat_eval.benchmark.selection import Selection
from ochat_eval.benchmark.task import Answered, ScoringOptions, Task, make_item
from ochat_eval.config.groups import options
from ochat_eval.config.load import job
from ochat_eval.data.source import data_root
from ochat_eval.records import RULES, Item, Response, Score, UserError
from ochat_eval.tasks import mt_bench
from ochat_eval.tasks.agieval import AgiEval
from ochat_eval.tasks.bbh_cot import BbhCot
from ochat_eval.tasks.bbh_mc import BbhMc
from ochat_eval.tasks.gpqa import Gpqa
from ochat_eval.tasks.gsm8k import Gsm8k
from ochat_eval.tasks.humaneval import HumanEval
from ochat_eval.tasks.math import Math
from ochat_eval.tasks.mmlu import Mmlu
from ochat_eval.tasks.mt_bench import MtBench
from ochat_eval.tasks.truthfulqa import TruthfulQa
from tests.conftest import CHECKOUT, table

TASKS: dict[str, type[Task]] = {
    "mmlu": Mmlu,
    "gsm8k": Gsm8k,
    "bbh_mc": BbhMc,
    "bbh_cot": BbhCot,
    "agieval": AgiEval,
    "truthfulqa": TruthfulQa,
    "humaneval": HumanEval,
    "math": Math,
    "mt_bench": MtBench,
    "gpqa": Gpqa,
}
SIZES = {
    "mmlu": 13985,
    "gsm8k": 1319,
    "bbh_mc": 5517,
    "bbh_cot": 6511,
    "agieval": 2546,
    "truthfulqa": 684,
    "humaneval": 164,
    "math": 5000,
    "mt_bench": 80,
}
SUBSETS = {"mmlu": 57, "bbh_mc": 23, "bbh_cot": 27, "agieval": 8, "math": 7, "mt_bench": 8}
SCORING = ScoringOptions(sandbox="none", workers=2)


def selected(task: Task, seed: int) -> tuple[list[Item], int]:
    selection = Selection(task, seed)
    return list(selection), selection.total


def task(name: str, data: str = "sample", **values: object) -> Task:
    return TASKS[name](name=name, data=data, **values)


def sample(name: str, **values: object) -> list[Item]:
    return list(task(name, **values).items())


def scores(one: Task, item: Item, *texts: str) -> list[Score]:
    responses = tuple(Response(item.id, text, sample=n) for n, text in enumerate(texts))
    return list(one.score([Answered(item, responses)], SCORING))


def verdicts(one: Task, item: Item, text: str) -> dict[str, float]:
    return {score.rule: score.value for score in scores(one, item, text)}


@pytest.fixture(scope="module")
def full(real_data: Path) -> dict[str, list[Item]]:
    """Every item of all nine benchmarks."""
    assert data_root() == real_data
    return {name: list(Selection(task(name, "full"), 0)) for name in SIZES}


# --- The published prompts -------------------------------------------------------------------


@pytest.mark.slow
def test_the_nine_benchmarks_have_all_their_items(full):
    assert {name: len(items) for name, items in full.items()} == SIZES
    assert sum(SIZES.values()) == 35_806
    assert {n: len({i.subset for i in full[n]}) for n in SUBSETS} == SUBSETS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("mmlu", "fs_cothub/mmlu/*.jsonl"),
        ("gsm8k", "fs_cothub/gsm8k/*.jsonl"),
        ("bbh_mc", "zs/bbh_mc_orca/*.jsonl"),
        ("truthfulqa", "zs/truthfulqa_orca/*.jsonl"),
    ],
)
def test_every_item_is_the_published_one(full, real_data, name, files):
    """All 21,505 rows of openchat's files, in their order: the prompt byte for byte."""
    paths = sorted(real_data.glob(f"raw/imoneoi/openchat/*/ochat/evaluation/eval_data/{files}"))
    published = [
        (path.stem, json.loads(line)) for path in paths for line in path.open(encoding="utf-8")
    ]
    assert len(published) == len(full[name]) == SIZES[name]
    subset_of = {"gsm8k": "main", "truthfulqa_mc": "mc"}
    for item, (stem, row) in zip(full[name], published, strict=True):
        label = [row["label"]] if isinstance(row["label"], str) else row["label"]
        assert item.turns == (row["question"],), item.id
        assert item.target == tuple(label), item.id
        assert item.choices == (row["options"] and tuple(row["options"])), item.id
        assert item.subset == subset_of.get(stem, stem)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loaded(Task):
    """A benchmark whose items are there already."""

    every: list[Item]

    def expected_items(self) -> int:
        return len(self.every)

    def items(self) -> Iterator[Item]:
        return iter(self.every)


@pytest.mark.slow
def test_limited_samples_are_nested_and_have_their_share_of_every_subset(full):
    """Of a systematic sample of one limit, a subset's count is off by 1/6 in the mean square."""
    for name, every in full.items():
        of, before, squares = Counter(i.subset for i in every), set(), []
        for limit in (1, 2, 10, 25, 79, 100, 101, 163, 500, 683, 1000, 2000, 5000, 10_000):
            ids, total = selected(Loaded(name=name, every=every, limit=limit), 0)
            assert total == len(every) and len(ids) == min(limit, total)
            found = {i.id for i in ids}
            assert before <= found, f"{name}: {limit} items lack some of fewer"
            before, counts = found, Counter(i.subset for i in ids)
            if limit < total:
                off = [counts[subset] - n * limit / total for subset, n in of.items()]
                assert max(map(abs, off)) < 2, f"{name}, {limit}"
                squares += [x * x for x in off]
        assert sum(squares) / len(squares) < 1.5 / 6, name


def test_the_published_examples_of_all_files(full, parity):
    rows = [json.loads(line) for line in (parity / "published_prompts.jsonl").open("rb")]
    items = {item.id: item for every in full.values() for item in every}
    assert Counter(row["id"].split("/")[0] for row in rows) == Counter(
        {"bbh_cot": 54, "bbh_mc": 46, "agieval": 16, "mmlu": 6, "gsm8k": 2, "truthfulqa": 2}
    )
    for row in rows:
        item = items[row["id"]]
        label = [row["label"]] if isinstance(row["label"], str) else row["label"]
        assert item.turns == (row["prompt"],), item.id
        assert item.target == tuple(label), item.id
        assert item.choices == (row["options"] and tuple(row["options"])), item.id


def test_ids_conditions_and_labels_of_all_items(full):
    for name, items in full.items():
        assert len({item.id for item in items}) == len(items)
        condition = "Math Correct" if name in ("gsm8k", "math") else "GPT4 Correct"
        assert {item.condition for item in items} == {condition}
        for item in items:
            assert item.id == f"{name}/{item.subset}/{item.index}"
            assert isinstance(item.target, tuple) and all(isinstance(t, str) for t in item.target)
    items = [item for every in full.values() for item in every if item.choices]
    # Names were cut up at their commas (BIG-Bench Hard), a fourth option is missing (AGIEval).
    assert [item.id for item in items if not set(item.target) <= set(item.choices)] == [
        "bbh_cot/movie_recommendation/163",
        "bbh_cot/ruin_names/99",
        "bbh_cot/ruin_names/144",
        "agieval/sat-en-without-passage/56",
        "agieval/sat-en/56",
    ]
    assert sum(len(item.target) == 2 for item in items) == 156
    # The robust rule passes over what goes on behind Z; no right answer is there.
    assert all(label.strip("()") <= "Z" for i in full["bbh_mc"] for label in i.target)


def test_17_subsets_of_bbh_have_labels(full):
    lettered = {item.subset: item.choices is not None for item in full["bbh_cot"]}
    assert Counter(lettered.values()) == {True: 17, False: 10}
    for item in full["bbh_cot"]:
        assert (item.choices is not None) == lettered[item.subset]


# --- Quirks that are options -----------------------------------------------------------------


def test_mmlu_with_each_subjects_first_row(full, real_data):
    items, total = selected(task("mmlu", "full", first_row_lost=False), 0)
    assert len(items) == total == 14_042
    added = {item.id for item in items} - {item.id for item in full["mmlu"]}
    assert len(added) == 57 and all(id.endswith("/0") for id in added)
    assert [item for item in items if item.id not in added] == full["mmlu"]


@pytest.mark.slow
def test_mmlu_with_none_as_it_is(full, real_data):
    from pandas._libs.parsers import STR_NA_VALUES

    plain = task("mmlu", "full", none_as_nan=False)
    pairs = list(zip(full["mmlu"], plain.items(), strict=True))
    changed = [(a.turns[0], b.turns[0]) for a, b in pairs if a != b]
    assert len(changed) == 10
    for published, shown in changed:
        head, _, question = published.rpartition("\n(A) ")
        assert shown == f"{head}\n(A) {question.replace('nan', 'None')}"
    [rows, *_] = [source.load() for source in plain.sources()[:1]]
    assert {c for row in rows for c in row["choices"]} & STR_NA_VALUES == {"None"}


@pytest.fixture(scope="module")
def zero_shot(real_data: Path) -> list[Item]:
    return list(task("mmlu", "full", num_fewshot=0).items())


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1, 2, 4, 5])
def test_mmlu_with_fewer_examples(full, zero_shot, count):
    items = list(task("mmlu", "full", num_fewshot=count).items())
    four = {"college_chemistry", "formal_logic", "human_aging"}
    for item, whole, bare in zip(items, full["mmlu"], zero_shot, strict=True):
        [prompt], [published], [shortest] = item.turns, whole.turns, bare.turns
        heading = published[: published.index("Q: ")]
        question = shortest.removeprefix(heading)
        most = 4 if item.subset in four else 5
        assert heading.lstrip("\n").startswith("The following are") and heading.endswith(".\n\n")
        assert prompt.startswith(heading) and prompt.endswith("\n\n" + question)
        examples = prompt[len(heading) : -len(question)]
        assert published.startswith(heading + examples) and published.endswith("\n\n" + question)
        assert examples.count("\nA: Let's think step by step.") == min(count, most)
        assert (prompt == published) == (count >= most)
        assert (item.id, item.target) == (whole.id, whole.target)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_bbh_with_fewer_examples(full, real_data, count):
    items = list(task("bbh_cot", "full", num_fewshot=count).items())
    for item, whole in zip(items[::20], full["bbh_cot"][::20], strict=True):
        [prompt], [published] = item.turns, whole.turns
        assert ("\n\n" + prompt).count("\n\nQ: ") == count + 1
        assert prompt.split("\n\nQ: ")[0] == published.split("\n\nQ: ")[0]
        assert prompt.split("\n\nQ: ")[-1] == published.split("\n\nQ: ")[-1]
        assert (prompt == published) == (count == 3)


@pytest.mark.parametrize(("name", "most"), [("mmlu", 5), ("bbh_cot", 3), ("gsm8k", 8)])
@pytest.mark.realdata
def test_a_number_of_examples_that_there_is_not_is_refused(real_data, name, most):
    for count in (-1, most + 1):
        with pytest.raises(UserError, match=rf"tasks\.{name}\.num_fewshot is {count}; .* {most}"):
            next(task(name, "full", num_fewshot=count).items())


def test_problems_that_there_are_not_are_refused():
    with pytest.raises(UserError, match=r"tasks\.humaneval\.problems is 'v9'"):
        next(task("humaneval", "full", problems="v9").items())


# --- Items that hang together ----------------------------------------------------------------


def test_agieval_clusters_are_passages(full, real_data):
    one, folder = task("agieval", "full"), next(real_data.glob("raw/*/AGIEval/*/data/v1"))
    clusters: dict[str, list[str]] = {}
    stratum: dict[str, str] = {}
    for item in full["agieval"]:
        name = one.cluster(item)
        clusters.setdefault(item.subset, []).append(name)
        assert stratum.setdefault(name, one.stratum(item)) == one.stratum(item)
    for subset, names in clusters.items():
        source = "sat-en" if subset == "sat-en-without-passage" else subset
        lines = (folder / f"{source}.jsonl").open(encoding="utf-8")
        passages = [json.loads(line)["passage"] or n for n, line in enumerate(lines)]
        assert len(set(zip(names, passages, strict=True))) == len(set(names)) == len(set(passages))
    assert clusters["sat-en"] == clusters["sat-en-without-passage"]
    counts = {subset: len(set(names)) for subset, names in clusters.items()}
    assert counts == {
        "aqua-rat": 254,
        "logiqa-en": 557,
        "lsat-ar": 40,
        "lsat-lr": 507,
        "lsat-rc": 40,
        "sat-en-without-passage": 44,
        "sat-en": 44,
        "sat-math": 213,
    }


@pytest.mark.parametrize("name", ["mmlu", "gsm8k", "bbh_cot", "math", "mt_bench"])
def test_items_of_other_benchmarks_stand_alone(name):
    items = sample(name)
    assert len({task(name).cluster(item) for item in items}) == len(items)


# --- Sample items ----------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No data root, no cache, no network."""
    monkeypatch.delenv("OCHAT_EVAL_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("OCHAT_EVAL_RAW_BASE", "OCHAT_EVAL_RELEASE_BASE", "HF_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.parametrize("name", TASKS)
def test_sample_items_are_sound(offline, name):
    one = task(name)
    items, total = selected(one, 0)
    assert total >= 4 and one.expected_items() is None
    assert len({item.id for item in items}) == total
    assert len({item.turns for item in items}) == total
    for item in items:
        assert item.id == f"{name}/{item.subset}/{item.index}"
        assert all(turn.strip() for turn in item.turns)
        assert item.choices is None or set(item.target) <= set(item.choices)
        assert bool(item.target) == (name != "mt_bench")
    assert {source.kind for source in one.sources()} == {"sample"}


def test_sample_items_take_the_options_too():
    assert all("nan" in i.turns[0] for i in sample("mmlu") if "None" in _as_is(i))
    assert sum("(D) nan" in i.turns[0] for i in sample("mmlu")) == 2
    short = sample("mmlu", num_fewshot=1)[0].turns[0]
    assert short.count("A: Let's think step by step.") == 2
    assert (
        sample("bbh_cot", num_fewshot=0)[0]
        .turns[0]
        .startswith("Find the day of the week.\n\nQ: Today")
    )


def _as_is(item: Item) -> str:
    [same] = [i for i in sample("mmlu", none_as_nan=False) if i.id == item.id]
    return same.turns[0]


STATED = {
    "mmlu": "The first is too small. The answer is {}.",
    "gsm8k": "Adding up gives {0}.\nThe answer is {0}",
    "bbh_mc": "{}",
    "bbh_cot": "One thing after the other. So the answer is {}.",
    "agieval": "{}",
    "truthfulqa": "{}",
    "gpqa": "The correct answer is {}",
}


@pytest.mark.parametrize("name", STATED)
def test_a_right_answer_in_the_expected_form_is_right_and_a_wrong_one_wrong(name):
    one = task(name)
    for item in one.items():
        for target in item.target:
            stated = target.replace(",", "") if name == "gsm8k" else target
            right = verdicts(one, item, STATED[name].format(stated))
            # Published GSM8K cannot be right with a sign or thousands commas in the label.
            published = float(name != "gsm8k" or target.isdigit())
            assert right == {"published": published, "robust": 1.0}, item.id
        wrong = [c for c in item.choices or ["31415"] if c not in item.target]
        for answer in wrong:
            text = STATED[name].format(answer)
            assert verdicts(one, item, text) == {"published": 0.0, "robust": 0.0}, (item.id, text)


# --- How answers are read --------------------------------------------------------------------


@pytest.mark.parametrize("case", table("task_answers.jsonl"), ids=lambda case: case["why"])
def test_both_rules_read(case):
    one = task(case["task"])
    choices = case.get("choices", sample("mmlu")[0].choices if case["task"] == "mmlu" else None)
    target = case["target"]
    targets = list(target) if case["task"] == "bbh_mc" else target
    item = make_item(one, "cases", 0, "?", targets, choices)
    read = {s.rule: [s.answer, s.matched, s.value] for s in scores(one, item, case["text"])}
    assert read == {rule: case[rule] for rule in RULES}
    for score in scores(one, item, case["text"]):
        if score.detail:
            start, end = score.detail["span"]
            assert 0 <= start <= end <= len(case["text"])


# --- MATH ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_math_grades_under_both_rules():
    one, items = task("math"), sample("math")
    texts = {
        item.id: [f"So the answer is ${item.target[0]}$.", f"\\boxed{{{item.target[0]}}}", "9999"]
        for item in items
    }
    texts["math/algebra/0"] += [r"\boxed{x=5}", "9999", ""]
    texts["math/algebra/1"] += [r"\boxed{(x+4)(x-4)}"]
    texts["math/counting_and_probability/0"] += [r"\boxed{\frac{2}{6}}", r"\boxed{1/3}"]
    answered = [
        Answered(i, tuple(Response(i.id, t, sample=n) for n, t in enumerate(texts[i.id])))
        for i in items
    ]
    found = {(s.id, s.sample, s.rule): s for s in one.score(answered, SCORING)}
    assert len(found) == 2 * sum(map(len, texts.values()))
    for item in items:
        for rule in RULES:
            values = [found[item.id, n, rule].value for n in range(3)]
            assert values == [1.0, 1.0, 0.0], (item.id, rule)
    for rule in RULES:
        wrong = [found["math/algebra/0", n, rule] for n in (4, 5)]
        assert [score.value for score in wrong] == [0.0, 0.0]
        assert found["math/algebra/0", 3, rule].value == 1.0
        assert found["math/algebra/1", 3, rule].value == 1.0
        assert found["math/counting_and_probability/0", 4, rule].value == 1.0
    unreduced = [found["math/counting_and_probability/0", 3, rule].value for rule in RULES]
    assert unreduced == [0.0, 1.0]


@pytest.mark.slow
def test_a_grade_that_takes_too_long_is_wrong_and_says_why(monkeypatch):
    monkeypatch.setattr("ochat_eval.tasks.math.SECONDS", 2.0)
    [item, *_] = sample("math")
    hostile, plain = r"\boxed{9^{9^{9^{9}}}}", r"\boxed{5}"
    found = {(s.sample, s.rule): s for s in scores(task("math"), item, hostile, plain)}
    killed = found[0, "robust"]
    assert (killed.answer, killed.matched, killed.value) == (None, False, 0.0)
    assert killed.detail == {"reason": "time limit (2 s)"}
    assert found[0, "published"].value == 0.0 and found[1, "robust"].value == 1.0


# --- MT-Bench --------------------------------------------------------------------------------


def test_mt_bench_samples_by_category(full):
    one = task("mt_bench", "full")
    drawn = {i.subset: one.sampling(i) for i in full["mt_bench"]}
    assert {category: s.temperature for category, s in drawn.items()} == {
        "writing": 0.7,
        "roleplay": 0.7,
        "reasoning": 0.0,
        "math": 0.0,
        "coding": 0.0,
        "extraction": 0.0,
        "stem": 0.1,
        "humanities": 0.1,
    }
    assert {s.max_tokens for s in drawn.values()} == {4096}
    assert [i.index for i in full["mt_bench"]] == list(range(81, 161))
    assert {len(i.turns) for i in full["mt_bench"]} == {2}


def test_mt_bench_refuses_a_category_and_a_temperature_that_there_are_not(full):
    assert {i.subset for i in full["mt_bench"]} == set(mt_bench.CATEGORIES)
    with pytest.raises(UserError, match=r"temperatures\.writng: the categories are writing, "):
        task("mt_bench", temperatures={"writng": 0.2})
    with pytest.raises(UserError, match=r"temperatures\.writing is -1; it must be a number from 0"):
        task("mt_bench", temperatures={"writing": -1})


def test_mt_bench_has_no_scores_without_a_judge():
    one = task("mt_bench")
    assert scores(one, sample("mt_bench")[0], "first", "second") == []
    assert (one.bounds, one.scale) == ((1.0, 10.0), 1.0)


# --- GPQA, the example of a new benchmark ----------------------------------------------------


def test_gpqa_says_how_to_bring_a_copy():
    with pytest.raises(UserError, match=r"gated.*tasks\.gpqa\.file=FILE\.csv, or take data=sample"):
        selected(task("gpqa", "full"), 0)


def test_gpqa_reads_the_users_copy(tmp_path):
    copy = tmp_path / "gpqa_diamond.csv"
    head = (
        "Record ID,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3"
    )
    lines = [
        f'{n},"Which is {n}?\nSay it, please.",{n}, no{n} ,nay{n},never{n}' for n in range(198)
    ]
    copy.write_text("\n".join([head, *lines]), encoding="utf-8")
    one = task("gpqa", "full", file=str(copy))
    items, total = selected(one, 0)
    assert total == 198
    assert len(set(Counter(item.target[0] for item in items))) == 4
    for n, item in enumerate(items):
        assert f"Which is {n}?\nSay it, please.\n\nChoices:\n(A) " in item.turns[0]
        assert f"\n{item.target[0]} {n}\n" in item.turns[0]
    [source] = one.sources()
    assert source.describe()["path"] == str(copy) and len(source.describe()["digest"]) == 64
    copy.write_text(head + "\n" + lines[0], encoding="utf-8")
    with pytest.raises(UserError, match="yields 1 items where the benchmark has 198"):
        selected(one, 0)
    copy.write_text("Id,Text\n1,Which?", encoding="utf-8")
    with pytest.raises(UserError, match="row 1 has no column 'Question'"):
        selected(one, 0)
    copy.write_text(head + "\n1,Which?,1,2", encoding="utf-8")
    with pytest.raises(UserError, match=r"row 1 has no column 'Incorrect Answer 2'"):
        selected(one, 0)
    with pytest.raises(UserError, match=r"nowhere\.csv: cannot be read as CSV"):
        list(task("gpqa", "full", file="nowhere.csv").items())


def test_a_benchmark_of_a_known_shape_is_short():
    lines = (CHECKOUT / "tasks/gpqa.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 30


# --- Configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suite", "names", "items"),
    [
        ("model_card", "mmlu gsm8k bbh_mc bbh_cot agieval truthfulqa humaneval mt_bench", 30_806),
        ("grok", "mmlu humaneval math gsm8k", 20_468),
        ("all", "mmlu gsm8k bbh_mc bbh_cot agieval truthfulqa humaneval math mt_bench", 35_806),
    ],
)
def test_suites(suite, names, items):
    tasks = job([f"task={suite}"]).tasks
    assert [one.name for one in tasks.values()] == list(tasks) == names.split()
    assert sum(one.expected_items() or 0 for one in tasks.values()) == items
    assert f"{items:,} items" in options("task")[suite]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_file_gives_the_published_setting(name):
    """What the file sets is what the class has by itself; its first line has the right count."""
    [one] = job([f"task={name}", "model=openchat_3.5_0106"]).tasks.values()
    assert dataclasses.replace(one, data="full") == task(name, "full")
    assert f"{one.expected_items() or 0:,} items" in options("task")[name]
