"""What whoever marks sees in nbgrader's own formgrader, a real one: the student's work, and nothing of it that acts."""

import json
import os
import re
import subprocess
import sys
import urllib.request

import pytest
from nbgrader.api import Gradebook as TheirGradebook

import courses
import forgeries
from coursekit import gradebook
from coursekit.attacking.pages import hazards

pytestmark = pytest.mark.box

NAME = forgeries.NAME
TOKEN = "a-token-of-this-test"
HONEST = """\
# My *answer*

Half of `x<y`, and $a_b*c*$.

```python
if a < b:

    pass
```

| a | b |
|---|---|
| 1 | 2 |
"""
EVIL = """\
<script>document.title = 'ours'</script>

<img src=x onerror="document.title = 'ours'"> <svg onload="document.title = 'ours'">

[a link](javascript:document.title='ours') and [another][one]

[one]: java&#115;cript:document.title='ours'

</div></div>

<iframe srcdoc="<script>parent.document.title = 'ours'</script>"></iframe>

<pre>

<script>document.title = 'ours'</script>

</pre>

<form action="/formgrader/api/grade/1" method="post"><input name="manual_score" value="10"></form>
<style>body { background: url(//evil.example/x) }</style>
"""
SHOWS = """
from IPython.display import HTML, Javascript, display
display(HTML("<script>document.title = 'ours'</script>"), Javascript("document.title = 'ours'"))
print("<script>document.title = 'ours'</script>")
"""


def handed_in(root, student, text, code=""):
    """Right answers, and this text in a Markdown and in a raw cell."""
    forgeries.submit(root, student, f"{forgeries.RIGHT}{code}")
    file = root / "submitted" / student / NAME / f"{NAME}.ipynb"
    nb = json.loads(file.read_text())
    nb["cells"] += [
        {"cell_type": kind, "id": f"{kind}-text", "metadata": {"raw_mimetype": "text/html"}, "source": text}
        for kind in ("markdown", "raw")
    ]
    file.write_text(json.dumps(nb))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = forgeries.make(tmp_path_factory.mktemp("formgrader") / "course")
    gradebook.cells(gradebook.settings(root), NAME)  # which releases it
    handed_in(root, "honest", HONEST)
    handed_in(root, "evil", EVIL, SHOWS)
    forgeries.submit(root, "forger", forgeries.FORGERIES["all says yes"])
    courses.grade(root, name=NAME)
    return root


@pytest.fixture(scope="module")
def formgrader(root, tmp_path_factory):
    """Its address; the server ends with the tests of this file."""
    folder = tmp_path_factory.mktemp("server")
    words = ["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"]
    words += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={root}"]
    words += ["--ServerApp.jpserver_extensions={'nbgrader.server_extensions.formgrader': True}"]
    environment = os.environ | {"HOME": str(folder), "JUPYTER_RUNTIME_DIR": str(folder)}
    command = [sys.executable, "-m", "jupyter_server", *words]
    with subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield next(
                found[0] for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:[1-9]\d*", line))
            )
        finally:
            server.kill()


@pytest.fixture(scope="module")
def page(root, formgrader):
    """The page on which a student's work is marked."""

    def fetched(student):
        with TheirGradebook(gradebook.settings(root).db_url) as book:
            number = book.find_submission_notebook(NAME, NAME, student).id
        address = f"{formgrader}/formgrader/submissions/{number}/?token={TOKEN}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            return answer.read().decode()

    return fetched


def test_nothing_of_a_student_s_acts_in_it(page):
    honest, evil = page("honest"), page("evil")
    assert "document.title = " in evil
    assert hazards(evil) == hazards(honest)


def test_text_is_shown_as_it_was_written(page):
    honest = page("honest")
    assert re.search(r"<h1[^>]*>My <em>answer</em>", honest)
    assert "<code>x&lt;y</code>" in honest
    assert "$a_b*c*$" in honest
    assert re.search(r"<td[^>]*>2</td>", honest)
    assert honest.count("<table") == 1
    code = re.sub(r"<[^>]*>", "", re.search(r"<pre>(.*?)</pre>", honest[honest.index("My <em>") :], re.DOTALL)[1])
    assert code.replace("\u200b", "").strip() == "if a &lt; b:\n\n    pass"


def test_a_test_that_waits_says_why(page):
    assert "This test waits for a person: " in page("forger")
    assert "This test waits for a person: " not in page("honest")
