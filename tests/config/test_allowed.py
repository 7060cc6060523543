"""Classes of one's own: a person allows them, and nothing else can."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import ochat_eval
from ochat_eval.config import allowed
from ochat_eval.config.groups import use_folder
from ochat_eval.records import UserError
from tests.conftest import CHECKOUT, Done
from tests.replays import write

TEMPLATE = CHECKOUT / "docs/template"
CONFIGURED = (
    "--config-dir", "conf", "task=capitals_europe", "engine=replay", "engine.path=a.jsonl", "run=r",
)  # fmt: skip

FILE = ("task=file", "tasks.file.path=rows.jsonl", "engine=replay", "engine.path=said.jsonl")


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """The template in the current folder, renamed so that no test meets another's modules; with
    recorded answers, and a mark that is set when its code runs."""
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    shutil.copytree(TEMPLATE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "my_benchmarks").rename(tmp_path / name)
    config = tmp_path / "conf/task/capitals_europe.yaml"
    config.write_text(config.read_text().replace("my_benchmarks", name))
    for module in (tmp_path / name).glob("[a-z]*.py"):
        module.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{module.read_text()}")
    ids = [f"capitals_europe/europe/{i}" for i in range(4)]
    write(tmp_path / "a.jsonl", *({"id": id_, "text": "B"} for id_ in ids))
    write(tmp_path / "rows.jsonl", {"question": "Ten and four?", "answer": "XIV"})
    write(tmp_path / "said.jsonl", {"id": "file/main/0", "text": "I say XIV."})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one not in ("", str(tmp_path))])
    yield tmp_path / name
    allowed.allow([])
    use_folder(None)


def refused(done: Done, package: Path) -> None:
    assert done.returncode == 2 and "may name only classes under ochat_eval.tasks" in done.stderr
    assert f"--allow {package.name}" in done.stderr and done.stderr.count("\n") == 1
    assert not (package.parent / "ran").exists()


def test_a_package_in_the_folder_is_named_once_it_is_allowed(package, cli):
    refused(cli(*CONFIGURED), package)
    done = cli("--allow", package.name, *CONFIGURED)
    assert done.returncode == 0, done.stderr
    assert "capitals_europe  robust     25.00" in done.stdout
    shown = cli("compare", "r", "r", f"--allow={package.name}", "--config-dir=conf")
    assert shown.returncode == 0, shown.stderr
    (package.parent / "ran").unlink()
    refused(cli("tables", "r", "--psi", "r", "--config-dir", "conf"), package)


def test_from_python(package):
    ochat_eval.use(config_dir="conf", allow=[package.name])
    run = ochat_eval.evaluate(
        "capitals_europe", engine="replay", options={"engine.path": "a.jsonl"}
    )
    assert run.summary["tasks"]["capitals_europe"]["published"]["score"] == 25
    assert run.items().turns[0][0].startswith("Good morning. ")


@pytest.mark.parametrize(
    "words",
    [
        "allow: [{name}]\n",
        "_allow_: {name}\n",
        "hydra: {{searchpath: ['file://.']}}\n",
        "defaults: [{{override /hydra/launcher: {name}}}]\n",
    ],
)
def test_a_configuration_file_can_allow_nothing(package, cli, words):
    config = package.parent / "conf/task/capitals_europe.yaml"
    config.write_text(config.read_text() + words.format(name=package.name))
    done = cli(*CONFIGURED)
    assert done.returncode == 2 and not (package.parent / "ran").exists()
    for name in "allow", "+allow", "hydra.allow":
        done = cli(*CONFIGURED, f"{name}=[{package.name}]")
        assert done.returncode == 2 and not (package.parent / "ran").exists()


def test_only_the_package_that_was_named_is_allowed(package, cli):
    other = package.with_name(f"{package.name}_too")
    shutil.copytree(package, other)
    config = package.parent / "conf/task/capitals_europe.yaml"
    named = config.read_text()
    config.write_text(named.replace(f"{package.name}.", f"{other.name}."))
    refused(cli("--allow", package.name, *CONFIGURED), other)
    for target in "os.system", f"{package.name}.capitals.ROWS", f"{package.name}.capitals.Path":
        config.write_text(named.replace(f"{package.name}.capitals.Capitals", target))
        done = cli("--allow", package.name, "--allow=os", *CONFIGURED)
        assert done.returncode == 2 and "there is no such task" in done.stderr


def test_a_runs_folder_can_allow_nothing(package, cli):
    done = cli("--allow", package.name, *CONFIGURED)
    assert done.returncode == 0, done.stderr
    (package.parent / "ran").unlink()
    manifest = package.parent / "results/runs/r/manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"name": "capitals_europe"', '"_target_": "os.system"'))
    for command in ("compare", "r", "r"), ("gate", "r", "--against", "r"):
        done = cli(*command)
        assert done.returncode in (2, 3) and "no benchmark 'capitals_europe' here" in done.stderr


def test_a_reader_is_named_once_its_package_is_allowed(package, cli):
    named = (*FILE, f"tasks.file.answer={package.name}.roman.Roman", "run=r")
    refused(cli(*named), package)
    done = cli("--allow", package.name, *named)
    assert done.returncode == 0, done.stderr
    assert "file  published    0.00" in done.stdout and "robust     100.00" in done.stdout
    (package.parent / "ran").unlink()
    for command in (
        ("tables", "r", "--psi", "r"),
        ("stage=score", "run=r", "tasks.file.path=rows.jsonl"),
        ("export", "model_index", "r", "-o", "card.md"),
    ):
        refused(cli(*command), package)  # the run's folder names it, and can allow nothing
    assert cli("--allow", package.name, "compare", "r", "r").returncode == 0


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("os.system", "may name only classes under"),
        ("{name}_too.roman.Roman", "may name only classes under"),
        ("{name}.capitals.Capitals", "there is no such reader"),
        ("{name}.roman.NUMERAL", "there is no such reader"),
        ("{name}.nowhere.Roman", "there is no such reader"),
        ("{name}.roman.Reader", "Reader has no method robust"),
        ("ochat_eval.tasks.math.Math", "there is no such reader"),
        ("{name}..Roman", "it is one of choice, number"),
        ("romn", "it is one of choice, number"),
    ],
)
def test_what_is_no_reader_that_is_allowed_is_one_line(package, cli, answer, complaint):
    answer = answer.format(name=package.name)
    config = package.parent / "conf/task/quiz.yaml"
    written = f"_target_: ochat_eval.tasks.file.FromFile\npath: rows.jsonl\nanswer: {answer}\n"
    config.write_text(f"# @package tasks.quiz\n{written}")
    done = cli("--allow", package.name, "--config-dir=conf", "task=quiz")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert complaint in done.stderr
    assert f"tasks.quiz.answer is {answer}" in done.stderr or "no method" in complaint


@pytest.mark.parametrize("name", ["", ".", "a-b", "..x", "os;x", "nowhere_to_be_found"])
def test_what_is_no_package_is_refused(name):
    with pytest.raises(UserError, match="--allow"):
        allowed.allow([name])


def entry_points(folder: Path, name: str) -> None:
    """Metadata, as pip writes it, of an installed package that names a benchmark."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        f"[ochat_eval.tasks]\ncapitals = {name}.capitals:Capitals\n"
        f"gsm8k = {name}.capitals:Capitals\n"
        f"[ochat_eval.readers]\nroman = {name}.roman:Roman\nnumber = {name}.roman:Roman\n"
    )


def test_an_installed_packages_entry_point_is_a_choice(package, cli, monkeypatch):
    installed = package.parent / "site"
    shutil.move(package, installed / package.name)
    entry_points(installed, package.name)
    monkeypatch.setattr(sys, "path", [*sys.path, str(installed)])
    shown = cli("run", "--help").stdout
    assert "capitals  " in shown and f"{package.name}.capitals.Capitals" in shown.replace("\n", "")
    assert not (package.parent / "ran").exists(), "nobody asked for it yet"
    ids = [f"capitals/europe/{i}" for i in range(4)]
    write(package.parent / "a.jsonl", *({"id": id_, "text": "B"} for id_ in ids))
    replayed = ("engine=replay", "engine.path=a.jsonl")
    done = cli("task=capitals", "tasks.capitals.politely=true", *replayed)
    assert done.returncode == 0, done.stderr
    assert "capitals  robust     25.00" in done.stdout
    done = cli("task=gsm8k", "data=sample", "stage=generate", *replayed)
    assert "does not ask" in done.stderr, "a name of ours stays ours"
    done = cli(*FILE, "tasks.file.answer=roman")
    assert done.returncode == 0 and "robust     100.00" in done.stdout, done.stderr
    done = cli(*FILE, "tasks.file.answer=number")
    assert "robust      0.00" in done.stdout, "a name of ours stays ours"


def test_metadata_that_lies_in_the_folder_is_not_installed(package, cli, monkeypatch):
    entry_points(package.parent, package.name)
    for place in "", str(package.parent):
        monkeypatch.setattr(sys, "path", [place, *sys.path])
        done = cli("task=capitals")
        assert done.returncode == 2 and "there is no such task" in done.stderr
        done = cli(*FILE, "tasks.file.answer=roman")
        assert done.returncode == 2 and "or a reader of your own: MODULE.CLASS" in done.stderr
        assert not (package.parent / "ran").exists()
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(package.parent)])
    ochat_eval.use(allow=[package.name])
    monkeypatch.chdir("/")
    assert not allowed.installed_classes("task"), "nor once the program has gone elsewhere"
