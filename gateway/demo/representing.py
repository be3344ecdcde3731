"""A company's representative at its own pages: asked, consenting, looking, taking back."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from gateway.cli.code_flow import Begun
from gateway.cli.login import REDIRECT_URI
from gateway.demo.browser import Browser, browser
from gateway.demo.cast import ADMINISTRATOR
from gateway.demo.invented import CORRECTED
from gateway.demo.served import SUBJECT_PAGES
from gateway.installation.home import Home
from sdk.credentials import Credentials

LI_MING: Final = "li-ming"
"""The account at the development provider that represents the company CORRECTED."""

_BY_CONSENT: Final = "依据授权"
_INVITATION: Final = re.compile(r"https://\S+/my/invitations/[0-9a-f]{64}")


class Representative:
    """Somebody signed in at the pages of their company, whose address is ``company``.

    Everything raises PageUnexpected, httpx.HTTPError.
    """

    def __init__(self, visitor: Browser, company: str) -> None:
        self._visitor = visitor
        self._company = company

    async def consent(self, name: str) -> str:
        """Find a request in the inbox, read it and consent; return where it stands then."""
        await self._visitor.visit(f"{self._company}/inbox")
        await self._visitor.follow(name)
        await self._visitor.send(to="/grant")
        return self._visitor.state

    async def revoke(self, name: str) -> str:
        """Revoke a consent from its own page; return where it stands then."""
        await self._visitor.visit(f"{self._company}/{name}")
        await self._visitor.follow("/revoke")
        await self._visitor.send(to="/revoke")
        return self._visitor.state

    async def state(self, name: str) -> str:
        """Return where a consent stands."""
        await self._visitor.visit(f"{self._company}/{name}")
        return self._visitor.state

    async def uses(self, name: str) -> int:
        """Return how many uses of a consent the page of uses lists."""
        consent_id = name.removeprefix("consents/")
        await self._visitor.visit(f"{self._company}/accesses?consent={consent_id}")
        return self._visitor.text.count(_BY_CONSENT)

    async def appoint(self, label: str) -> str:
        """Appoint a deputy who may see and answer, called ``label``; return the address that
        invites them."""
        await self._visitor.visit(f"{self._company}/delegations/new")
        powers = {"power-see": "on", "power-answer": "on"}
        await self._visitor.send(to="/delegations/", label=label, days="30", **powers)
        found = _INVITATION.search(self._visitor.text)
        return "" if found is None else found[0]

    async def notices(self) -> str:
        """Return the words of the company's notices."""
        await self._visitor.visit(f"{self._company}/notices")
        return self._visitor.text

    async def approve(self, begun: Begun) -> dict[str, str]:
        """Consent on the page a client sends the browser to; return what comes back."""
        await self._visitor.visit(begun.url)
        return dict(await self._visitor.approve())


@asynccontextmanager
async def representing(home: Home, account: str = LI_MING) -> AsyncGenerator[Representative]:
    """Sign in as a representative of the company CORRECTED, at its own pages."""
    credentials = Credentials.load(home.profile(ADMINISTRATOR))
    company = f"{credentials.issuer}{SUBJECT_PAGES}/{CORRECTED}"
    async with browser(credentials.ca, REDIRECT_URI) as visitor:
        await visitor.sign_in(f"{company}/inbox", account)
        yield Representative(visitor, company)


@asynccontextmanager
async def deputy_of(home: Home, invitation: str, account: str) -> AsyncGenerator[Representative]:
    """Sign in as whom the address ``invitation`` is for, and accept it."""
    credentials = Credentials.load(home.profile(ADMINISTRATOR))
    async with browser(credentials.ca, REDIRECT_URI) as visitor:
        await visitor.sign_in(invitation, account)
        await visitor.send(to="/my/invitations")
        yield Representative(visitor, f"{credentials.issuer}{SUBJECT_PAGES}/{CORRECTED}")
