"""Forms that pages post: bounded, each field once."""

from typing import Protocol

from authlib.oauth2 import OAuth2Error
from starlette.requests import ClientDisconnect, Request

from gateway.oauth.request import FORM, bounded_body, form_fields, media_type_of
from gateway.pages.troubles import NotShown


class FormRefused(Exception):
    """What was posted is no form of ours; ``status`` is the HTTP status that says so."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


async def posted(request: Request) -> dict[str, str]:
    """Return the fields of a posted form, empty ones too. Raises FormRefused.

    Read as the endpoints of the authorisation server read theirs, within the same bounds.
    """
    if media_type_of(request) != FORM:
        raise FormRefused(415)
    try:
        return form_fields(await bounded_body(request), keep_blank_values=True)
    except OAuth2Error as error:
        raise FormRefused(error.status_code) from None
    except ClientDisconnect:
        raise FormRefused(400) from None


class _Showing(Protocol):
    """Who was shown forms: what is needed of `gateway.signin.sessions.Browser`."""

    def sent_form(self, purpose: str, token: str) -> bool: ...


async def posted_here(request: Request, browser: _Showing, purpose: str) -> dict[str, str]:
    """Return the posted form, which was shown to ``browser`` for ``purpose``.

    Raises NotShown "changed" for any other, and FormRefused.
    """
    form = await posted(request)
    if not browser.sent_form(purpose, form.get("token", "")):
        raise NotShown("changed", 403)
    return form
