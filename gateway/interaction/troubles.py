"""What goes wrong with a page, shown as a page."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import Request
from starlette.responses import Response

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.failure_kind import failure_kind
from gateway.pages.forms import FormRefused
from gateway.pages.rendering import Pages, language_of
from gateway.signin.provider import SignInFailed

Answer = Callable[[Request], Awaitable[Response]]
"""What serves one route."""

Trouble = Literal["over", "changed", "unavailable"]
"""Nothing waits for a decision any more; what was sent is not taken; nothing can be decided
now."""

_log = logging.getLogger(__name__)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{20,64}")
_STATUS: Final = {"over": 404, "changed": 403, "unavailable": 503}
# What a consent is refused with that the page has offered to give.
_REFUSED: Final[Mapping[RefusalReason.ValueType, Trouble]] = {
    RefusalReason.REFUSAL_REASON_STATE_CONFLICT: "over",
    RefusalReason.REFUSAL_REASON_ETAG_MISMATCH: "over",
    RefusalReason.REFUSAL_REASON_INVALID_REQUEST: "changed",
}


def trouble(
    pages: Pages, request: Request, trouble: Trouble, *, status: int | None = None
) -> Response:
    """Return the page that tells of ``trouble``."""
    return pages.page(
        "trouble.html",
        language_of(request),
        status=status or _STATUS[trouble],
        trouble=trouble,
        here=f"/interaction/{again}" if (again := interaction_id_of(request)) else "",
        asked_again=_asked_again(request),
    )


def unconfigured(pages: Pages) -> Answer:
    """Return what serves every route where nobody can sign in."""

    async def serve(request: Request) -> Response:
        return pages.page(
            "unconfigured.html",
            language_of(request),
            status=503,
            asked_again=_asked_again(request),
        )

    return serve


def guarded(pages: Pages, serve: Answer) -> Answer:
    """Return ``serve`` with its failures shown as pages."""

    async def guarded(request: Request) -> Response:
        try:
            return await serve(request)
        except SignInFailed as failed:
            _log.warning("sign-in failed (%s): %s", failed.reason, failed)
            status = 503 if failed.reason == "unavailable" else 403
            return pages.page(
                "sign_in_failed.html",
                language_of(request),
                status=status,
                reason=failed.reason,
                asked_again=_asked_again(request),
            )
        except FormRefused as refused:
            return trouble(pages, request, "changed", status=refused.status)
        except Refused as refused:
            _log.warning("a page was not served: %s", RefusalReason.Name(refused.reason))
            return trouble(pages, request, _REFUSED.get(refused.reason, "unavailable"))
        except (DBAPIError, PoolTimeout) as error:
            _log.warning("a page was not served: %s", failure_kind(error))
            return trouble(pages, request, "unavailable")
        except Exception as error:
            # Its type alone: what it says, and where it was, may hold what people are told.
            _log.error("a page failed: %s", failure_kind(error))
            return trouble(pages, request, "unavailable", status=500)

    return guarded


def interaction_id_of(request: Request) -> str:
    """Return the interaction the path names, "" where it names none."""
    interaction_id: str = request.path_params.get("interaction_id", "")
    return interaction_id if _ID.fullmatch(interaction_id) else ""


def _asked_again(request: Request) -> bool:
    """Tell whether a page can be asked for again, in the other language: not what answers a form."""
    return request.method == "GET"
