"""One source for an exercise: the learner's stub, and the page with a folded solution.

A cell tagged `solution` holds the solution between the two markers that nbgrader uses as well.
This module is also the Sphinx extension that rewrites the pages; with MEDCLF_SOLUTIONS=no the
solutions are left out of the published book.
"""

from __future__ import annotations

import os
import re
from typing import Any

FOLDER = "chapters/exercises/"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
REGION = re.compile(rf"^([ \t]*){BEGIN}\n(?:.*\n)*?\1{END}(?:\n|$)", re.MULTILINE)
CELL = re.compile(r"```\{code-cell\} ipython3\n:tags: \[solution\]\n\n(?P<code>(?:.*\n)*?)```\n")
CHECK = re.compile(r"```\{code-cell\} ipython3\n(?P<code>check\(.*\n)```\n")
FOLDED = """```{{code-cell}} ipython3
---
tags: [{tag}]
mystnb:
  code_prompt_show: "Show {what}"
  code_prompt_hide: "Hide {what}"
---
{code}```
"""


def stub(code: str) -> str:
    r"""Leave the solution out; inside a function NotImplementedError takes its place.

    Examples
    --------
    >>> print(stub("def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n"))
    def f():
        raise NotImplementedError  # write this
    >>> stub("n = None\n### BEGIN SOLUTION\nn = 3\n### END SOLUTION")
    'n = None'
    """

    def left(found: re.Match[str]) -> str:
        return f"{found[1]}raise NotImplementedError  # write this\n" if found[1] else ""

    rest = REGION.sub(left, code)
    if BEGIN in rest or END in rest:
        raise ValueError(f"A marker without its partner, or indented otherwise, in:\n{code}")
    return rest.rstrip("\n") if rest != code else code


def solved(code: str) -> str:
    """Leave the markers out."""
    return re.sub(rf"^[ \t]*(?:{BEGIN}|{END})\n", "", code, flags=re.MULTILINE)


def page(text: str, solutions: bool = True) -> str:
    """Turn a source into the text of its page: the stub, then the solution, folded or left out.

    The solution is executed in either case. What the check below it says gives the answer away, so
    it is folded or left out as well.
    """

    def both(found: re.Match[str]) -> str:
        tag = "hide-input" if solutions else "remove-cell"
        code = solved(found["code"])
        shown = f"```python\n{stub(found['code'])}\n```\n\n"
        return shown + FOLDED.format(tag=tag, what="the solution", code=code)

    def check(found: re.Match[str]) -> str:
        tag = "hide-output" if solutions else "remove-output"
        return FOLDED.format(tag=tag, what="what the check says to it", code=found["code"])

    return CHECK.sub(check, CELL.sub(both, text))


def rewrite(app: Any, docname: str, source: list[str]) -> None:
    """Rewrite the source of a page of exercises before it is parsed."""
    if docname.startswith(FOLDER):
        source[0] = page(source[0], app.config.course_solutions)


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx; "env", so that pages are read again when the switch is turned."""
    app.add_config_value("course_solutions", os.environ.get("MEDCLF_SOLUTIONS") != "no", "env")
    app.connect("source-read", rewrite)
    # A new env_version has pages read again that an older version of `page` has written.
    return {"version": "1", "env_version": 2, "parallel_read_safe": True,
            "parallel_write_safe": True}  # fmt: skip
