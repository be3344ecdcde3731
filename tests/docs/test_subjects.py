"""The guide for subjects shows the pages as they are, with their own words."""

import re
import struct

import pytest

from tests.docs.images import PICTURES
from tests.docs.pages import DOCS, ROOT

PAGE = (DOCS / "subjects.md").read_text(encoding="utf-8")
PARTS: dict[str, str] = dict(zip(("zh", "en"), PAGE.split("\n## ")[1:], strict=True))
IMAGES = DOCS / "images"
SHOWN = "".join(
    path.read_text(encoding="utf-8")
    for folder in ("gateway/subject", "gateway/consents", "gateway/pages")
    for pattern in ("*.py", "templates/*.html")
    for path in sorted((ROOT / folder).glob(pattern))
)


def test_every_picture_is_there_and_in_the_guide() -> None:
    named = re.findall(r"images/(.+?)\.png", PAGE)
    assert sorted(named) == sorted(PICTURES)
    assert {path.stem for path in IMAGES.glob("*.png")} >= set(PICTURES), "run make screenshots"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_one_that_can_be_read_and_loaded(name: str) -> None:
    content = (IMAGES / f"{name}.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width >= 390
    assert height >= 600
    assert len(content) < 400_000


def test_every_picture_says_what_it_shows() -> None:
    told = re.findall(r"!\[(.*?)\]\(images/", PAGE) + re.findall(r'<img [^>]*alt="(.*?)"', PAGE)
    assert len(told) == len(PICTURES)
    assert all(told)


@pytest.mark.parametrize("language", PARTS)
def test_what_the_guide_says_to_choose_is_on_the_pages(language: str) -> None:
    chosen = set(re.findall(r"\*\*(.+?)\*\*", PARTS[language].replace("\n", " ")))
    # Questions are set off too; whoever asks them is no button.
    words = {each for each in chosen if not each.endswith(("？", "?", "."))}
    assert len(words) > 10
    assert {each for each in words if each not in SHOWN} == set()


def test_both_languages_tell_of_the_same() -> None:
    headings = [re.findall(r"^### .+$", part, re.MULTILINE) for part in PARTS.values()]
    assert len(headings[0]) == len(headings[1]) > 8


TOLD_IN_BOTH = {
    "consents kept elsewhere": ("由另一地区的网关保管", "another region's gateway keeps"),
    "what of those is revoked here": (
        "只及于本网关提供的部分",
        "ends for what this gateway serves",
    ),
    "recognitions": ("认定了其他地区出具的", "confirmed what another region states"),
    "the filters of uses": ("按机构和时间筛选", "narrowed to an operator and a time"),
}


@pytest.mark.parametrize("what", TOLD_IN_BOTH)
def test_what_one_language_tells_of_other_regions_and_filters_the_other_tells_too(
    what: str,
) -> None:
    chinese, english = TOLD_IN_BOTH[what]
    assert chinese in PARTS["zh"].replace("\n", "")
    assert english in PARTS["en"].replace("\n", " ")
