"""Chinese words on a page in another language are marked as such (WCAG 2.2, 3.1.2)."""

import pytest

from gateway.pages.rendering import Language, Pages


def shown(language: Language, operator: str) -> str:
    """Return a line of the list of parts of a consent."""
    part = {"title": "t", "quoted": "", "lines": [{"name": operator, "text": "sees it"}]}
    page = Pages("gateway.subject").page("plain_parts.html", language, parts=[part])
    return bytes(page.body).decode()


@pytest.mark.parametrize(
    ("operator", "marked"),
    [
        ("示例征信（虚构）", '<strong><span lang="zh-Hans">示例征信（虚构）</span></strong>'),
        ("Bank 银行 1", '<strong>Bank <span lang="zh-Hans">银行</span> 1</strong>'),
        ("信用360公司", '<strong><span lang="zh-Hans">信用360公司</span></strong>'),
        ("Alpha <b>", "<strong>Alpha &lt;b&gt;</strong>"),
        ("银<b>行", '<span lang="zh-Hans">银</span>&lt;b&gt;<span lang="zh-Hans">行</span>'),
    ],
)
def test_what_is_chinese_is_marked_and_nothing_else(operator: str, marked: str) -> None:
    assert marked in shown("en", operator)


def test_on_a_chinese_page_nothing_is_marked() -> None:
    assert "<strong>示例&lt;b&gt;</strong>" in shown("zh", "示例<b>")
