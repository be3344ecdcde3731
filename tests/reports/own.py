"""Reports that a company has issued on its own pages."""

import re
from urllib.parse import urljoin

import httpx

from creditgate.credit_report import CreditReport, stated_in
from tests.people import COMPANY
from tests.subject.world import World, forms_of


async def issued(
    world: World, *items: str, recipient: str = "", subject: str = COMPANY
) -> httpx.Response:
    """Have who is signed in order a report about these items; return where that leads."""
    page = await world.browser.go(world.my("/reports", subject))
    return await send(world, page, *items, recipient=recipient)


async def send(
    world: World, page: httpx.Response, *items: str, recipient: str = ""
) -> httpx.Response:
    """Send the form of ``page`` that orders a report."""
    ((action, fields),) = [
        form for form in forms_of(page, "") if re.search(r"/reports/[^/]+$", form[0])
    ]
    chosen = {f"item-{code}": "on" for code in items}
    return await world.browser.go(
        urljoin(str(page.url), action), **fields, **chosen, recipient=recipient
    )


def links(page: httpx.Response, part: str) -> list[str]:
    """Return the links of a page that end so."""
    return [
        urljoin(str(page.url), link)
        for link in re.findall(r'href="([^"?]+)"', page.text)
        if link.endswith(part)
    ]


async def newest(world: World, page: httpx.Response) -> tuple[CreditReport, str]:
    """Return the first report of a page, and its document."""
    document = (await world.browser.go(links(page, "/document")[0])).text
    return stated_in(document), document
