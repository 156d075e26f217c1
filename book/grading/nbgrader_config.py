"""Settings of nbgrader for this course. Made once by `make assignment`, then yours to change."""

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

import bleach  # comes with nbconvert

HERE = Path(__file__).resolve().parent
c = get_config()  # noqa: F821 - nbgrader hands it to this file

c.CourseDirectory.course_id = "medclf"
c.CourseDirectory.root = str(HERE)  # the gradebook is gradebook.db in this folder

# What stands in the learner's notebook where the solution was: correct Python in any place.
c.ClearSolutions.code_stub = {
    "python": "...  # your answer here; for a number, in place of None above"
}

# A cell that takes longer is interrupted and earns nothing; the cells after it still count.
c.Execute.timeout = 120
c.Execute.startup_timeout = 120

# Scripts in what a learner's cells give out do not reach the pages of feedback. nbconvert's own
# list of tags would show what a check says, and tables, as raw HTML.
TAGS = {"a", "b", "br", "caption", "code", "div", "em", "i", "p", "pre", "span", "strong", "table",
        "tbody", "td", "th", "thead", "tr"}  # fmt: skip


def _clean(text):
    return bleach.clean(re.sub(r"(?is)<style\b.*?</style\s*>", "", str(text)), tags=TAGS)


c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {"clean_html": _clean}

# With the folder `isolated`, made by `make assignment ISOLATE=bwrap`, code of learners runs in a
# sandbox. Delete the folder, and it runs with your rights.
if (HERE / "isolated").is_dir():
    c.Execute.kernel_name = "medclf-isolated"
    c.KernelManager.transport = "ipc"  # sockets are files: the kernel needs no network
    _paths = [str(HERE / "isolated"), os.environ.get("JUPYTER_PATH", "")]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, _paths))
    # The connection file, with the sockets beside it; the name of a socket must be short.
    _run = tempfile.mkdtemp(prefix="nbgrader-")
    atexit.register(shutil.rmtree, _run, ignore_errors=True)
    c.KernelManager.connection_file = str(Path(_run) / "kernel.json")
