"""What the pages list is what there is."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from creditgate.refusal import reason_name
from creditgate.v1.refusal_pb2 import RefusalReason
from operators.asked_details import read_details
from tests.docs.pages import DOCS, ROOT, named_in

DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_tables_of_the_administrators_guide_are_those_of_the_code(tmp_path: Path) -> None:
    kept = (DOCS / "administrators.md").read_text(encoding="utf-8")
    page = tmp_path / "administrators.md"
    page.write_text(kept, encoding="utf-8")
    script = DOCS / "generate_tables.py"
    subprocess.run([sys.executable, str(script), str(page)], check=True)
    assert page.read_text(encoding="utf-8") == kept, "run make docs"


def test_the_operators_guide_mends_every_refusal() -> None:
    reasons = {reason_name(value) for value in RefusalReason.values() if value}
    assert named_in(DOCS / "operators.md", r"^\| `([A-Z_]+)` \|") == reasons


def test_the_details_that_the_operators_guide_shows_are_taken() -> None:
    text = (DOCS / "operators.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```json\n(\[\{\"type\".*?)```", text, re.MULTILINE | re.DOTALL)
    read = [read_details(details) for details in shown]
    assert [each.consent_terms is not None for each in read] == [False, True]


def _asked(project: dict[str, Any]) -> list[str]:
    """Return what the project asks for, however little of it is installed."""
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *extras["sdk"], *extras["gateway"]]


@pytest.mark.parametrize(
    "package",
    sorted({re.split(r"[\[<>=~; ]", line)[0] for line in _asked(PROJECT)} - {PROJECT["name"]}),
)
def test_a_decision_says_why_a_package_was_chosen(package: str) -> None:
    naming = [page.name for page in DECISIONS if f"`{package}`" in page.read_text(encoding="utf-8")]
    assert naming


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_four_parts(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(page.name[:4])}. ")
    parts = re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE)
    assert parts[:4] == ["Context", "Choice", "Rivals", "Consequence"]


def test_decisions_are_numbered_and_listed() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    listed = named_in(DOCS / "decisions" / "README.md", r"\]\((.+?)\)$")
    assert listed == {page.name for page in DECISIONS}


def test_every_guarantee_is_in_the_concepts_with_a_test_that_exists() -> None:
    page = DOCS / "concepts.md"
    assert named_in(page, r"^\| \*\*G(\d+)\*\*") == {str(number) for number in range(1, 13)}
    named = named_in(page, r"`(tests/\S+\.py::\w+)`")
    assert len(named) == 29
    for test in named:
        file, _, name = test.partition("::")
        assert re.search(rf"def {name}\(", (ROOT / file).read_text(encoding="utf-8")), test


def test_the_changelog_tells_of_this_version() -> None:
    assert PROJECT["version"] in named_in(ROOT / "CHANGELOG.md", r"^## (\d+\.\d+\.\d+)")
