"""What the files say: links lead somewhere, and nothing names the machine it was written on."""

import re
from pathlib import Path

import pytest

from tests.quality.project import ROOT, project_files

# A path on somebody's machine; not a part of a URL or of a longer path.
MACHINE_PATH = re.compile(r"(?<![\w.:/@$})-])/(?:work|root|tmp|Users|home/\w+)/")
LINK = re.compile(r"(?<!`)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
TEXTS = (".py", ".md", ".toml", ".yaml", ".yml", ".json", ".mjs", ".proto", ".lock", ".sql")
PAGES = [
    path
    for path in project_files(".md")
    if path.parent == ROOT or path.is_relative_to(ROOT / "docs")
]


def shown(path: Path) -> str:
    """Return a file's name below the project."""
    return str(path.relative_to(ROOT))


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    files = [
        *project_files(*TEXTS),
        ROOT / "Makefile",
        ROOT / ".ci" / "run",
        ROOT / ".ci" / "setup",
    ]
    found = [
        f"{shown(path)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not found


@pytest.mark.parametrize("folder", ["tmp", "work", "root", "home/someone"])
def test_the_check_sees_paths_of_a_machine(folder: str) -> None:
    assert MACHINE_PATH.search(f'open("/{folder}/x")')


@pytest.mark.parametrize(
    ("before", "folder"), [("https://a.example", "tmp"), ("docs", "work"), ("{root}", "tmp")]
)
def test_the_check_lets_other_paths_pass(before: str, folder: str) -> None:
    assert not MACHINE_PATH.search(f"{before}/{folder}/x")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    broken: list[str] = []
    for link in LINK.finditer(prose):
        name, _, anchor = link["target"].partition("#")
        if re.match(r"[a-z]+:", name):
            continue
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target)
        ):
            broken.append(link["target"])
    assert not broken
