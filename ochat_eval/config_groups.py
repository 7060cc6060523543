"""The files of conf/ that a user can choose from, found without loading Hydra."""

from __future__ import annotations

from importlib import resources

GROUPS = ("task", "model", "engine", "judge")


def options(group: str) -> dict[str, str]:
    """The files of a configuration group: name -> the first comment that is no directive."""
    found = {}
    for file in sorted(resources.files(f"ochat_eval.conf.{group}").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            comments = [
                line[1:].strip() for line in file.read_text().splitlines() if line[:1] == "#"
            ]
            text = next((line for line in comments if not line.startswith("@")), "")
            found[file.name.removesuffix(".yaml")] = text
    return found


def option_lines(file: str) -> str:
    """The options of a file of conf/ that have a comment, a line each, for `--help`."""
    lines = resources.files("ochat_eval.conf").joinpath(file).read_text().splitlines()
    entries = [line.split(" # ") for line in lines if " # " in line]
    return "\n".join(f"  {entry[0].replace(': ', '='):22} {entry[1]}" for entry in entries)
