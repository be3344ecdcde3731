"""axe-core in a page: which rules of WCAG 2.2 AA it breaks."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from playwright.async_api import Page

from tests.node.conftest import HERE, install_once

_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN: Final = (
    "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations', 'incomplete']})"
)


@cache
def _source() -> str:
    install_once()
    return (HERE / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


async def faults(page: Page, *, only: Sequence[str] = ()) -> list[str]:
    """Return what axe-core finds wrong with ``page``, or cannot tell, one line each.

    ``only`` are the ids of the rules to look at, all for none. It runs beside the page's
    policy, as a person's own tools do.
    """
    if not await page.evaluate("'axe' in window"):
        # For the pages that follow as well: to bring it anew takes as long as to open a page.
        await page.context.add_init_script(_source())
        await page.evaluate(_source())
    found: dict[str, Any] = await page.evaluate(_RUN, only or _TAGS)
    return [
        f"{page.url}: {fault['id']}: {node['target']}: {node['failureSummary']}"
        for kind in ("violations", "incomplete")
        for fault in found[kind]
        for node in fault["nodes"]
    ]
