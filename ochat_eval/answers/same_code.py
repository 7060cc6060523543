"""Which programs for one problem do the same, however they are laid out."""

from __future__ import annotations

import ast
import functools
import warnings
from collections.abc import Collection
from typing import TypeGuard

_HARMLESS = (
    ast.arg, ast.arguments, ast.Attribute, ast.Constant, ast.List, ast.Load, ast.Name,
    ast.Subscript, ast.Tuple,
)  # fmt: skip
"""What stands for a function's arguments, their types and defaults, and does nothing itself."""


def program_form(program: str, prompt: str) -> str:
    """A text that two programs for one problem share only where they do the same.

    Comments and blank lines do not count, nor does what the rules put in front: statements of the
    prompt that follow it once more, and its function without a body before the one with it. Such
    programs differ in the numbers of their lines alone. A program that does not compile shares its
    form with none, for the error names the line.

    Args:
        program: the whole program, as a rule of `code` reads it.
        prompt: the problem's code, which is trusted.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in a model's strings are not our news
            tree = ast.parse(program)
            compile(tree, "solution.py", "exec", dont_inherit=True)
        return "\n".join(_statements(tree, _of_prompt(prompt)))
    # It does not compile, or is nested too deep or too large for the compiler or to be written.
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, SystemError):
        return program


def _statements(tree: ast.Module, of_prompt: dict[str, str]) -> list[str]:
    """The statements at top level, written out, less those that change nothing."""
    first: list[str] = []  # of the prompt; a second time at once does what the first did
    rest = list(tree.body)
    while rest and (form := ast.dump(rest[0])) in of_prompt:
        first += [] if form in first else [form]
        del rest[0]
    replaced = of_prompt[first[-1]] if first else ""
    if rest and _only_defines(rest[0], of_prompt.values()) and rest[0].name == replaced:
        first.pop()  # before anything could have called it
    return [*first, *map(ast.dump, rest)]


@functools.lru_cache(maxsize=256)
def _of_prompt(prompt: str) -> dict[str, str]:
    """The prompt's statements, written out, each with the name of the function that it defines.

    For an import that is empty. There are none where a prompt does more than import and define,
    or gives a name twice: then it matters what was done again.
    """
    found: dict[str, str] = {}
    names: list[str] = []
    body = ast.parse(prompt).body
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found[ast.dump(node)] = ""
            names += [alias.asname or alias.name for alias in node.names]
        elif _only_defines(node, functions):
            found[ast.dump(node)] = node.name
            names.append(node.name)
        else:
            return {}
    return found if len(set(names)) == len(names) and "*" not in names else {}


def _only_defines(node: ast.stmt, others: Collection[str]) -> TypeGuard[ast.FunctionDef]:
    """Whether a statement only defines a function: calls nothing by that, uses no `others`."""
    if not isinstance(node, ast.FunctionDef) or node.decorator_list:
        return False
    header = [part for part in (node.args, node.returns) if part is not None]
    return all(
        isinstance(inner, _HARMLESS) and getattr(inner, "id", None) not in others
        for part in header
        for inner in ast.walk(part)
    )
