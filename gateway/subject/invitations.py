"""Becoming a deputy: the link that a representative passed on, and giving it up again."""

import asyncio
import hashlib
import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from creditgate import plain_text
from gateway.pages.addresses import addressed
from gateway.pages.cookies import drop, keep
from gateway.pages.rendering import language_of, see_other
from gateway.pages.troubles import NotShown
from gateway.subject.deputies import delegation_line
from gateway.subject.naming import delegation_id_of
from gateway.subject.visit import Visit

PLACE: Final = "/my/invitations"
INVITATION_COOKIE: Final = "__Host-creditgate-invitation"
_KEPT_SECONDS: Final = 3_600
_SECRET: Final = re.compile(r"[0-9a-f]{64}")


async def arrive(request: Request) -> Response:
    """Keep the link's secret in the browser, and go on without it in the address.

    Addresses are kept in histories and logs, and signing in passes them on.
    """
    secret: str = request.path_params["secret"]
    if _SECRET.fullmatch(secret) is None:
        raise NotShown("missing")
    arrived = see_other(addressed(PLACE, language_of(request)))
    return keep(arrived, INVITATION_COOKIE, secret, _KEPT_SECONDS)


async def show(visit: Visit) -> Response:
    """Show what is offered."""
    digest = _digest(visit)
    offered = await asyncio.to_thread(visit.parts.delegations.invited, digest, visit.now)
    if offered is None:
        raise NotShown("missing")
    return visit.page(
        "invitation.html",
        line=delegation_line(visit.parts.view(), offered, visit.now, visit.language),
        name=_name_shown(visit),
        own=offered.appointed_by == visit.identity.representative,
        token=visit.browser.form_token(_to_accept(digest)),
    )


async def accept(visit: Visit) -> Response:
    """Become the deputy; who signed in long ago is asked to again."""
    digest = _digest(visit)
    await visit.form(_to_accept(digest))
    if not visit.fresh:
        return see_other(visit.path(PLACE))
    accepted = await asyncio.to_thread(
        visit.parts.delegations.accept,
        digest,
        visit.identity.representative,
        visit.now,
        name=_name_shown(visit),
    )
    if accepted is None:
        raise NotShown("changed")
    return drop(see_other(visit.path(f"/my/{accepted.subject}")), INVITATION_COOKIE)


async def give_up(visit: Visit) -> Response:
    """End one's own delegation."""
    delegation_id = delegation_id_of(visit.request.path_params.get("delegation_id", ""))
    await visit.form(to_give_up(delegation_id))
    principal = visit.identity.representative

    def end() -> None:
        delegation = visit.parts.delegations.get(delegation_id)
        if delegation is None or delegation.deputy != principal:
            raise NotShown("missing")
        visit.parts.delegations.end(delegation_id, principal, visit.now)

    await asyncio.to_thread(end)
    return see_other(visit.path("/my/companies"))


def to_give_up(delegation_id: str) -> str:
    """Return what the form is for that gives a delegation up."""
    return f"give-up {delegation_id}"


def _digest(visit: Visit) -> bytes:
    secret = visit.request.cookies.get(INVITATION_COOKIE, "")
    if _SECRET.fullmatch(secret) is None:
        raise NotShown("missing")
    return hashlib.sha256(secret.encode()).digest()


def _name_shown(visit: Visit) -> str:
    """Return the name by which the company is told who accepted, "" for none that can stand on a
    page."""
    name = visit.identity.told_name
    return "" if plain_text.fault(name) is not None else name


def _to_accept(digest: bytes) -> str:
    return f"accept {digest.hex()}"
