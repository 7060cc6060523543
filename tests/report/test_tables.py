"""The published tables: the figures, a run's cells with their marks and verdicts, every format."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

from ochat_eval import stats
from ochat_eval.baseline import figures
from ochat_eval.report.tables import build, formats
from ochat_eval.report.tables.build import Cell
from ochat_eval.report.tables.cells import MARK, rows_of
from ochat_eval.terminal.grid import DASH
from tests.conftest import CHECKOUT
from tests.replays import REPLAY, RUN, sample_answers, write

NASTY = '=cmd|"/c calc"!A1\x1b[2J\u202e_%&#$\\|<b>`'


def task(score: float | None, n: int = 1000, half: float = 1.0, **fields: object) -> dict:
    """A benchmark's part of a summary, the same under both rules."""
    one: dict[str, object] = {"score": score, "n": n, "stderr": half / 1.96, "ci95": None}
    if score is not None:
        one["ci95"] = [score - half, score + half]
    rule = {**one, **fields.pop("more", {})}
    return {"published": rule, "robust": rule, "notes": [], "changed": [], **fields}


def summary(row: str | None = "OpenChat-3.5-0106", name: str = "r", **tasks: dict) -> dict:
    return {"model": "m", "run": name, "published_row": row, "tasks": tasks}


CARD = {
    "mt_bench": task(7.8, 160, 0.3), "humaneval": task(71.3, 164), "bbh_mc": task(51.5),
    "agieval": task(49.1), "truthfulqa": task(61.0), "mmlu": task(65.8), "gsm8k": task(77.4),
    "bbh_cot": task(62.2),
}  # fmt: skip


def table(name: str, *summaries: dict, psi: dict | None = None) -> build.Table:
    found = {t.name: t for t in build.build_all(summaries, psi)}
    return found[name]


def cells(made: build.Table, row: int = 0) -> dict[str, Cell]:
    names = (column.name for column in made.columns)
    return dict(zip(names, made.runs[row].cells, strict=True))


# --- The published figures ----------------------------------------------------------------------


def test_every_figure_is_the_published_one(real_data):
    path = real_data.parent / "published_scores.yaml"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    theirs, ours = yaml.safe_load(path.read_text()), figures.tables()
    assert ours.keys() == theirs.keys() - {"notes"}
    for name, one in ours.items():
        assert one["columns"] == theirs[name]["columns"]
        renamed = {"OpenChat 3.5 1210": "OpenChat-3.5-1210"}
        assert one["rows"] == {renamed.get(k, k): v for k, v in theirs[name]["rows"].items()}
        assert list(one["rows"]) == [renamed.get(k, k) for k in theirs[name]["rows"]]


def test_columns_stand_in_the_published_order_and_averages_are_the_means():
    for name, definition in build.definitions().items():
        published = figures.tables()[name]
        assert [c.name for c in definition.columns] == published["columns"]
        weights = {c.name: c.weight for c in definition.columns if c.task}
        for model, row in published["rows"].items():
            scores = dict(zip(published["columns"], row["scores"], strict=True))
            if scores.get("average") is not None:
                mean = sum(scores[k] * w for k, w in weights.items()) / len(weights)
                assert abs(mean - scores["average"]) < 0.1, (name, model)


def test_the_openchat_models_have_their_rows():
    rows = {}
    for file in (CHECKOUT / "conf/model").glob("openchat*.yaml"):
        values = yaml.safe_load(file.read_text())
        rows[values["name"]] = values["published"]
        assert figures.row(values["published"]).tasks["gsm8k"] == pytest.approx(77.35, abs=0.06)
    assert rows["openchat_3.5_0106"] == "OpenChat-3.5-0106"
    assert rows["openchat_3.5_1210"] == "OpenChat-3.5-1210"
    assert rows["openchat_3.5"] == "OpenChat-3.5"


# --- Cells --------------------------------------------------------------------------------------


def test_the_average_counts_mt_bench_tenfold_with_errors_in_quadrature():
    found = cells(table("model_card", summary(**CARD)))["average"]
    others = (71.3, 51.5, 49.1, 61.0, 65.8, 77.4, 62.2)
    assert found.score == pytest.approx((78 + sum(others)) / 8)
    # The two of BIG-Bench Hard ask the same questions: their errors are added.
    half = math.sqrt(3**2 + 2**2 + 5 * 1**2) / 8
    assert found.stderr == pytest.approx(half / 1.96)
    assert (found.ci95[1] - found.ci95[0]) / 2 == pytest.approx(half)
    [said] = table("model_card", summary(**CARD)).rules
    assert said.startswith("Average: BBH MC and BBH CoT ask the same questions")
    assert found.published == 64.5 and found.verdict == "within interval" and not found.marks
    grok = {k: task(s) for k, s in {"mmlu": 60, "humaneval": 50, "math": 20, "gsm8k": 70}.items()}
    assert cells(table("grok", summary(**grok)))["average"].score == 50


def test_an_average_of_nothing_right_is_not_certain():
    """Seven columns of 0 of 5: each 0…43.4, the average 0…16.4 (0…0 before)."""
    none = {"score": 0.0, "n": 5, "stderr": 0.0, "ci95": [0.0, 100 * stats.wilson(0, 5)[1]]}
    columns = [build.Column(name, name, name) for name in "abcdefg"]
    cells = {name: build.Cell(0.0, tuple(none["ci95"]), 0.0) for name in "abcdefg"}
    found = build._average(columns, cells)
    assert (found.score, found.ci95[0]) == (0, 0)
    assert found.ci95[1] == pytest.approx(16.4, abs=0.05)


def test_several_figures_are_judged_together():
    scores = {"mmlu": 65.8, "humaneval": 71.3, "math": 29.3}
    rates = dict.fromkeys([*scores, "gsm8k"], 0.02)
    noise = 100 * math.sqrt(0.02 / 1000)

    def verdict(gap: float) -> str | None:
        tasks = {k: task(v) for k, v in scores.items()} | {"gsm8k": task(77.4 + gap)}
        return cells(table("grok", summary(**tasks), psi=rates))["gsm8k"].verdict

    # Four benchmarks and their average.
    edge = stats.published_margin(noise, of=5)
    assert edge > stats.published_margin(noise)
    assert (verdict(edge - 0.01), verdict(edge + 0.01)) == ("agrees", "differs")


@pytest.mark.parametrize("gone", [*CARD])
def test_an_average_with_a_missing_cell_is_a_dash(gone):
    for missing in ({k: v for k, v in CARD.items() if k != gone}, CARD | {gone: task(None, 0)}):
        made = table("model_card", summary(**missing))
        assert cells(made)["average"].score is None and cells(made)[gone].score is None
        assert rows_of(made)[0][2].startswith("–")
        [column] = (c for c in made.columns if c.name == gone)
        assert cells(made)["average"].marks == (f"no figure of {column.header}",)


def test_a_rating_on_another_scale_is_no_figure():
    judged = task(4.2, 160, more={"incomparable": "rated 1 to 5, not 1 to 10"})
    found = cells(table("model_card", summary(**CARD | {"mt_bench": judged})))
    assert found["mt_bench"].score is None and found["average"].score is None
    assert found["mt_bench"].marks == ("rated 1 to 5, not 1 to 10",)


@pytest.mark.parametrize(
    ("score", "psi", "verdict"),
    [
        # 0.05 + 1.96·100·√(0.02/1000) = 0.9265
        (77.4 + 0.92, 0.02, "agrees"), (77.4 - 0.92, 0.02, "agrees"),
        (77.4 + 0.94, 0.02, "differs"), (77.4 - 0.94, 0.02, "differs"),
        (77.4 + 0.04, 0.0, "agrees"), (77.4 + 0.06, 0.0, "differs"),
        (77.4 + 1.04, None, "within interval"), (77.4 + 1.06, None, "outside interval"),
    ],
)  # fmt: skip
def test_verdicts(score, psi, verdict):
    rates = {} if psi is None else {"gsm8k": psi}
    found = cells(table("grok", summary(gsm8k=task(score)), psi=rates))["gsm8k"]
    assert (found.verdict, found.published) == (verdict, 77.4)
    assert found.difference == pytest.approx(score - 77.4)


def test_a_rating_is_compared_in_points_and_by_the_digits_it_was_published_with():
    def verdict(row: str, rating: float, psi: float) -> str | None:
        made = table("model_card", summary(row, mt_bench=task(rating, 160)), psi={"mt_bench": psi})
        return cells(made)["mt_bench"].verdict

    assert verdict("OpenChat-3.5-0106", 7.84, 0) == "agrees"  # 7.8: one decimal
    assert verdict("OpenChat-3.5-0106", 7.86, 0) == "differs"
    assert verdict("OpenChat-3.5-1210", 7.764, 0) == "agrees"  # 7.76: two
    assert verdict("OpenChat-3.5-1210", 7.77, 0) == "differs"
    # ψ is of ratings brought to 0…1: 0.05 + 1.96·10·√(0.01/160) = 0.2049
    assert verdict("OpenChat-3.5-0106", 8.0, 0.01) == "agrees"
    assert verdict("OpenChat-3.5-0106", 8.01, 0.01) == "differs"


def test_nothing_is_said_of_a_model_without_published_figures_or_of_the_robust_rule():
    made = table("grok", summary(None, gsm8k=task(77.4)))
    assert {c.verdict for row in made.runs for c in row.cells} == {None}
    made = table("grok", summary(gsm8k=task(77.4)))
    assert cells(made)["gsm8k"].verdict and cells(made, 1)["gsm8k"].verdict is None
    assert [row.rule for row in made.runs] == ["published", "robust"]


def test_plus_is_its_own_figure():
    plus = {"plus": {"score": 65.9, "n": 164, "stderr": 3.7, "ci95": [58.3, 72.6]}}
    [found] = cells(table("humaneval_plus", summary(humaneval=task(71.3, 164, more=plus)))).values()
    assert (found.score, found.ci95, found.verdict) == (65.9, (58.3, 72.6), "within interval")
    [found] = cells(table("humaneval_plus", summary(humaneval=task(71.3, 164)))).values()
    assert found.score is None and found.marks == ("plus was not judged",)


@pytest.mark.parametrize(
    "mark",
    [
        {"notes": ["limited to 40 of 1,319"]}, {"notes": ["3 missing"]},
        {"notes": ["1.2% truncated"]}, {"changed": ["num_fewshot=4"]},
    ],
)  # fmt: skip
def test_a_mark_shows_in_every_format_and_leaves_the_verdict_open(mark):
    made = table("model_card", summary(**CARD | {"gsm8k": task(77.4, **mark)}))
    found = cells(made)
    assert found["gsm8k"].verdict == "unknown" and found["mmlu"].verdict == "within interval"
    assert found["average"].verdict == "unknown" and found["average"].marks
    [why] = (why for whys in mark.values() for why in whys)
    for name, form in formats.FORMATS.items():
        text = form([made])
        shown = {"latex": why.replace("%", "\\%").replace("_", "\\_"),
                 "markdown": why.replace("_", "\\_")}.get(name, why)  # fmt: skip
        assert shown in text, name
        if name in ("terminal", "markdown", "latex"):
            assert "77.4†" in text and "65.8†" not in text, name


# --- Formats ------------------------------------------------------------------------------------


def nasty() -> build.Table:
    one = summary(None, NASTY, gsm8k=task(50.0, notes=[NASTY])) | {"model": NASTY}
    return table("grok", one)


def test_names_cannot_break_out_of_any_format():
    for form in formats.FORMATS.values():
        assert not {"\x1b", "\u202e"} & set(form([nasty()])), form
    for row in list(csv.reader(io.StringIO(formats.csv_text([nasty()]))))[1:]:
        for field in row[:5] + row[10:]:
            assert field[:1] not in ("=", "+", "-", "@", "\t", "\r"), field
        assert len(row) == len(formats.CSV_HEADERS)
    widths = {
        line.replace("\\\\", "").replace("\\|", "").count("|")
        for line in formats.markdown([nasty()]).splitlines() if line.startswith("|")
    }  # fmt: skip
    assert len(widths) == 1
    assert "<b>" not in formats.markdown([nasty()])
    tex = formats.latex([nasty()])
    assert r"\_\%\&\#\$\textbackslash{}" in tex.replace(" ", "")


def test_latex_holds_what_pdflatex_knows_and_fits_the_page():
    tex = formats.latex([table("model_card", summary(**CARD)), nasty()])
    assert r"Zephyr-\ensuremath{\beta}" in tex and r"\shortstack[r]{within\\interval}" in tex
    assert {c for c in tex if not c.isascii()} <= {MARK, DASH, "…"}
    assert tex.count(r"\resizebox{\ifdim") == tex.count(r"\begin{table}") == 2
    if shutil.which("pdflatex"):
        with tempfile.TemporaryDirectory() as folder:
            head = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}"
            (Path(folder) / "t.tex").write_text(f"{head}\n{tex}\\end{{document}}\n")
            command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
            done = subprocess.run(command, cwd=folder, capture_output=True, errors="replace")
            assert done.returncode == 0 and "Overfull" not in done.stdout, done.stdout


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", " =1", "\t=1", "\r@x"])
def test_a_spreadsheet_takes_no_name_for_a_formula(text):
    made = table("grok", summary(None, text, gsm8k=task(50.0)))
    lines = list(csv.DictReader(io.StringIO(formats.csv_text([made]))))
    assert lines[0]["run"].lstrip()[0] in "'�" and lines[0]["run"].endswith(text[1:])


def test_csv_and_json_hold_the_very_numbers():
    made = table("model_card", summary(**CARD))
    rows = list(csv.DictReader(io.StringIO(formats.csv_text([made]))))
    assert len(rows) == 9 * (2 + 10)
    [gsm8k] = (
        r for r in rows if r["run"] == "r" and r["rule"] == "published" and r["column"] == "gsm8k"
    )
    assert (float(gsm8k["score"]), float(gsm8k["lo"]), gsm8k["verdict"]) == (
        77.4,
        76.4,
        "within interval",
    )
    [there] = (r for r in rows if r["model"] == "Mistral" and r["column"] == "average")
    assert there["score"] == ""
    read = json.loads(formats.json_text([made]))["model_card"]
    assert read["runs"][0]["cells"][7]["score"] == 77.4
    assert [row["model"] for row in read["published"]] == [row.model for row in made.published]


# --- Through the command line -------------------------------------------------------------------


def test_a_run_writes_its_tables_and_several_stand_in_one(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers(i0="no"))
    done = cli(*REPLAY, "model=openchat_3.5_0106")
    assert done.returncode == 0, done.stderr
    assert "in part, in tables.md: OpenChat-3.5 model card, Comparison with Grok" in done.stdout
    stored = json.loads((tmp_path / RUN / "summary.json").read_text())
    assert stored["tables"].keys() == {"model_card", "grok"}
    cell = stored["tables"]["grok"]["runs"][0]["cells"][4]
    assert cell["score"] == pytest.approx(75) and cell["published"] == 77.4
    assert cell["verdict"] == "unknown" and "sample items, not the benchmark" in cell["marks"]
    for ending in ("md", "csv", "tex"):
        assert "77.4" in (tmp_path / RUN / f"tables.{ending}").read_text()
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY[:-1], "run=other", "model=openchat_3.5_0106").returncode == 0

    both = cli("tables", "r", "results/runs/other", "--table", "grok", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(both.stdout)))
    scores = {r["run"]: float(r["score"]) for r in rows
              if r["rule"] == "published" and r["column"] == "gsm8k" and r["run"]}  # fmt: skip
    assert scores == {"r": pytest.approx(75), "other": pytest.approx(100 * 10 / 12)}
    for wrong, said in (
        (("nope",), "there is no such run"),
        (("r", "--table", "gork"), "did you mean grok?"),
        (("r", "--table", "humaneval_plus"), "no benchmark of humaneval_plus"),
        (("r", "--psi", "2"), "--psi is 2"),
    ):
        done = cli("tables", *wrong)
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1


def test_other_options_than_the_published_ones_are_marked(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY, "tasks.gsm8k.num_fewshot=1", "max_tokens=64").returncode == 0
    stored = json.loads((tmp_path / RUN / "summary.json").read_text())
    assert stored["tasks"]["gsm8k"]["changed"] == ["max_tokens=64", "num_fewshot=1"]
    marks = stored["tables"]["grok"]["runs"][0]["cells"][4]["marks"]
    assert "not the published setting: num_fewshot=1" in marks


def test_a_published_row_that_is_not_there_is_refused(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    done = cli(*REPLAY, "model.published=OpenChat-3.6")
    assert done.returncode == 2 and "did you mean OpenChat-3.5?" in done.stderr
    assert not (tmp_path / RUN).exists()
