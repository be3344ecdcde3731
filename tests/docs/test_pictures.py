"""The guides of administrators and operators show pictures that are there, and say of what."""

import re

import pytest

from tests.docs.images import CONSOLE_PICTURES, PORTAL_PICTURES
from tests.docs.pages import DOCS

GUIDES = {"administrators": CONSOLE_PICTURES, "operators": PORTAL_PICTURES}


@pytest.mark.parametrize("guide", GUIDES)
def test_every_picture_of_a_guide_is_there_and_says_what_it_shows(guide: str) -> None:
    page = (DOCS / f"{guide}.md").read_text(encoding="utf-8")
    named = re.findall(r"images/(.+?)\.png", page)
    assert sorted(named) == sorted(GUIDES[guide])
    told = re.findall(r"!\[(.+?)\]\(images/", page) + re.findall(r'<img [^>]*alt="(.+?)"', page)
    assert len(told) == len(named)
    for name in named:
        content = (DOCS / "images" / f"{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n"), "run make screenshots"
        assert len(content) < 400_000
