"""The reference pages say what the protos say."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
LINK = re.compile(r"\]\((?P<page>[a-z./-]*)(?P<anchor>#[a-z0-9]+)?\)", re.IGNORECASE)


def texts(folder: Path) -> dict[str, str]:
    """Return the text of every page by file name."""
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}


def test_reference_pages_are_what_the_protos_say(tmp_path: Path) -> None:
    script = ROOT / "docs" / "generate_reference.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    fresh, kept = texts(tmp_path), texts(REFERENCE)
    stale = sorted(name for name in fresh.keys() | kept.keys() if fresh.get(name) != kept.get(name))
    assert fresh
    assert not stale, f"run python docs/generate_reference.py; stale: {stale}"


def test_every_link_in_the_reference_leads_somewhere() -> None:
    pages = texts(REFERENCE)
    anchors = {
        name: {f"#{head.lower()}" for head in re.findall(r"^#+ (\w+)$", text, re.MULTILINE)}
        for name, text in pages.items()
    }
    links = [
        (name, found["page"] or name, found["anchor"])
        for name, text in pages.items()
        for found in LINK.finditer(text)
    ]
    assert len(links) > 100
    broken = [
        link
        for link in links
        if not (REFERENCE / link[1]).is_file()
        or (link[2] is not None and link[2] not in anchors[link[1]])
    ]
    assert broken == []
