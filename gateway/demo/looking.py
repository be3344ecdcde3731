"""Scenes of the pages: a firm's portal and the administrators' console, in a browser."""

from typing import Final

from gateway.cli.login import REDIRECT_URI
from gateway.demo.account import Section, Step
from gateway.demo.browser import browser
from gateway.demo.cast import ADMINISTRATOR
from gateway.demo.served import CONSOLE_PAGES, PORTAL_PAGES
from gateway.demo.stage import Stage
from gateway.pages.money import yuan
from sdk.credentials import Credentials

HE_LAN: Final = "he-lan"
"""The account at the development provider that acts for the operator alpha."""
_AUDITOR: Final = "sun-yue"
_SHOWN: Final = "shown"


async def looked(stage: Stage) -> Section:
    """Look at alpha's cost at the portal, and at alpha at the console."""
    alpha = stage.alpha
    month = max(alpha.charges.entries)
    credentials = Credentials.load(stage.home.profile(ADMINISTRATOR))
    cost = yuan(alpha.charges.micro_yuan[month], "zh")
    portal = await _page(credentials, PORTAL_PAGES, HE_LAN)
    console = await _page(credentials, f"{CONSOLE_PAGES}/operators", _AUDITOR)
    return Section(
        "Firms and administrators look at it in a browser",
        (
            Step(
                HE_LAN,
                f"signs in at the portal for alpha, and reads the cost of {month}",
                cost,
                cost if cost in portal else "another",
            ),
            Step(
                _AUDITOR,
                "signs in at the console, and finds alpha among the firms",
                _SHOWN,
                _SHOWN if alpha.party.name in console else "not shown",
            ),
        ),
    )


async def _page(credentials: Credentials, path: str, account: str) -> str:
    """Return the words of a page that ``account`` signs in for."""
    async with browser(credentials.ca, REDIRECT_URI) as visitor:
        await visitor.sign_in(f"{credentials.issuer}{path}", account)
        return visitor.text
