"""Reading the program in a response: the published rule, and a careful reader's.

Pure functions that never raise on any text, as in `extract`, which exports them too.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence

from ochat_eval.records import Reading

_FENCE = re.compile(r"`{3,}|~{3,}")
_INFO = re.compile(r"[ \t]*+(?:(?i:python|py)\d*+(?=\s)|[\w+#.-]*+[ \t]*+(?=\n))")
_CODE_LINE = re.compile(r"(?:async +def|def|class) +\w|import +\w|from +[\w.]+ +import\b|@\w")
_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def code_block(text: str, prompt: str, entry_point: str) -> Reading:
    """The program in a response, as published from 4 January 2024 on (openchat, 2ca7110).

    The pieces are the bodies of closed fences, as they stand, and behind them the whole response:
    see `_published` for which one counts. An opening fence is three backticks and whatever else
    stands in that line; a body ends before line ends and three backticks.

    Args:
        prompt: the problem's code: imports, helpers, signature and docstring.
        entry_point: name of the function that the tests call.

    Returns:
        The whole program that was run. evalplus put the prompt in front of what the rule above
        chose, so the prompt's helpers are there even if the response does not repeat them.
    """
    return _published(text, [*_bodies(text), (0, len(text))], prompt, entry_point)


def code_block_2023(text: str, prompt: str, entry_point: str) -> Reading:
    """The program in a response, as published until 3 January 2024 (openchat, 419c6f3).

    The pieces are what stands between triple backticks, each stripped and without a leading
    `python`; arguments and result as those of `code_block`.
    """
    pieces = []
    for span in _pieces(text):
        start, end = strip_span(text, *span)
        if text.startswith("python", start, end):
            start += len("python")
        pieces.append((start, end))
    return _published(text, pieces, prompt, entry_point)


def _published(
    text: str, pieces: Sequence[tuple[int, int]], prompt: str, entry_point: str
) -> Reading:
    """The piece that counts, as published.

    The first that parses and defines `entry_point` (anywhere, also inside a class) behind the
    prompt's imports, which are its text before the first `def`; else the first that does so behind
    the whole prompt; else the whole response, unmatched.
    """
    imports = prompt.split("def", maxsplit=1)[0].strip() + "\n\n"
    for prefix in (imports, prompt):
        tried = set()
        for start, end in pieces:
            piece = text[start:end]
            code = prefix + piece
            # Parsing is dear: pass over a loop's repeats and what cannot define the name
            # (identifiers are compared normalised, so only plain ASCII can tell).
            if piece in tried or (entry_point not in code and piece.isascii()):
                continue
            tried.add(piece)
            tree = _parse(code)
            if tree is not None and any(
                isinstance(node, ast.FunctionDef) and node.name == entry_point
                for node in ast.walk(tree)
            ):
                return Reading(prompt + code, matched=True, span=(start, end))
    return Reading(prompt + text, matched=False)


def _bodies(text: str) -> Iterator[tuple[int, int]]:
    """The spans of the bodies of closed fences, in linear time.

    They are what the regular expression "three backticks, the rest of the line, line ends (as many
    as there are); then as little as possible; then line ends and three backticks" finds from left
    to right. It looks for an end behind all line ends first, and only then gives some back: so a
    fence with nothing but empty lines inside is one only where no other end follows.
    """
    place = 0
    while (opening := text.find("```", place)) >= 0:
        first = text.find("\n", opening)
        if first < 0:
            return
        start = first
        while text.startswith("\n", start):
            start += 1
        closing = text.find("\n```", start)
        if closing >= 0:
            end = closing
            while text[end - 1] == "\n":
                end -= 1
            yield start, end
            place = closing + len("\n```")
        elif start - first > 1 and text.startswith("```", start):
            yield start - 1, start - 1
            place = start + len("```")
        else:
            return  # no end behind this one: none behind a later one


def robust_code(text: str, prompt: str, entry_point: str) -> Reading:
    """The program in a response, as a careful reader takes it.

    The last piece that defines `entry_point` at top level with a body that returns, yields or
    raises: a later version is a correction of an earlier one, while a stub or an unfinished block
    is neither. Pieces are what stands between fences (any info string, indented, unclosed) and
    the code lines of the prose around. Earlier pieces that only define helpers come along;
    demonstrations behind the definition (asserts, calls) do not: they are not the answer. Else the
    last piece that is the function's body.

    Returns:
        The whole program, the prompt first; the span is of the piece that was chosen. None,
        unmatched, where nothing defines the function.
    """
    pieces = [_without_info(text, start, end) for start, end in _pieces(text, _FENCE)]
    for i, (start, end) in reversed(list(enumerate(pieces))):
        piece = text[start:end]
        if entry_point not in piece:
            continue
        for code in (_dedent(piece), _code_lines(piece)):
            tree = _parse(code)
            if tree is not None and _defines(tree, entry_point):
                helpers = _helpers([text[s:e] for s, e in pieces[:i]])
                answer = _without_demonstration(code, tree, entry_point)
                program = "\n".join([prompt, *helpers, answer])
                return Reading(program, matched=True, span=(start, end))
    for start, end in reversed(pieces):
        piece = text[start:end].strip("\n")
        if not re.search(r"\b(?:return|yield|raise)\b", piece):
            continue
        # A body keeps its indentation, has none, or lost that of its first line.
        for body in (textwrap.indent(_dedent(piece), "    "), "    " + piece.lstrip()):
            code = prompt.rstrip() + "\n" + body + "\n"
            tree = _parse(code)
            if tree is not None and _defines(tree, entry_point):
                return Reading(code, matched=True, span=(start, end))
    return Reading(None, matched=False)


def _pieces(text: str, fence: re.Pattern[str] = re.compile("```")) -> Iterator[tuple[int, int]]:
    """The spans of the pieces that `fence` splits the text into."""
    start = 0
    for match in fence.finditer(text):
        yield start, match.start()
        start = match.end()
    yield start, len(text)


def strip_span(text: str, start: int, end: int) -> tuple[int, int]:
    """The span less the white space at its ends."""
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())


def _without_info(text: str, start: int, end: int) -> tuple[int, int]:
    """The span less a fence's info string (`py`, `Python`, `python3 `…) at its start."""
    match = _INFO.match(text, start, end)
    return (match.end() if match else start), end


def _dedent(code: str) -> str:
    """The code less its lines' common indentation (textwrap's compiles it as a pattern: slow)."""
    lines = code.split("\n")
    margin = min((len(x) - len(x.lstrip(" \t")) for x in lines if x.strip()), default=0)
    return "\n".join(line[margin:] for line in lines)


def _parse(code: str) -> ast.Module | None:
    """The syntax tree, None for what does not parse; any text may come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in a model's strings are not our news
        try:
            return ast.parse(code)
        # ValueError: NUL or a lone surrogate. The last two: nested too deep for the parser.
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _defines(tree: ast.Module, name: str) -> bool:
    """Whether `name` is at top level a function with an effect, or a name given a value.

    What returns outside a function is a body, though a variable in it has the function's name.
    """
    if _answers(tree):
        return False
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name and _answers(node):
            return True
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            return True
    return False


def _answers(block: ast.FunctionDef | ast.Module) -> bool:
    """Whether the block, not a function inside it, returns or yields; a function may raise."""
    nodes: list[ast.AST] = [*block.body]
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)):
            return True
        if isinstance(node, ast.Raise) and isinstance(block, ast.FunctionDef):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            nodes.extend(ast.iter_child_nodes(node))
    return False


def _helpers(pieces: Sequence[str]) -> Iterator[str]:
    """Those pieces that hold definitions and imports only: running them does nothing else."""
    for piece in pieces:
        if re.search(r"\b(?:def|class|import)\b", piece):
            code = _dedent(piece)
            tree = _parse(code)
            if tree is not None and all(isinstance(node, _DEFINITION) for node in tree.body):
                yield code


def _without_demonstration(code: str, tree: ast.Module, entry_point: str) -> str:
    """The code less the asserts, calls, loops and the like behind the definition.

    `from __future__` goes too: it may only stand at the start of a program, and the prompt does.
    """
    lines = re.split(r"\r\n?|\n", code)  # as the parser counts them
    defined = False
    for node in tree.body:
        defined = defined or getattr(node, "name", None) == entry_point
        calls = any(isinstance(inner, ast.Call) for inner in ast.walk(node))
        plain = isinstance(node, (ast.Assign, ast.AnnAssign)) and not calls
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if future or (defined and not plain and not isinstance(node, _DEFINITION)):
            for i in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[i] = ""
    return "\n".join(lines).strip("\n") + "\n"


def _code_lines(piece: str) -> str:
    """The lines of definitions and imports in prose: each such line and what is indented below."""
    kept, inside = [], False
    for line in piece.split("\n"):
        if line[:1].strip() and line[0] not in ")]}#":
            inside = _CODE_LINE.match(line) is not None
        if inside:
            kept.append(line)
    return "\n".join(kept)
