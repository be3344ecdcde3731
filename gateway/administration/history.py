"""The history of authority: every version of everything, who changed it, when and why (G7)."""

import asyncio
from typing import Final

from creditgate.rating.prices import PRICE_PLAN
from creditgate.refusal import Violation
from creditgate.v1 import operator_service_pb2 as pb
from gateway.administration.desk import Desk
from gateway.administration.listing import page_ask, page_of
from gateway.administration.message import change_message
from gateway.administration.request import require
from gateway.authenticate.caller import Caller
from gateway.authority.restoration import RESTORATION
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.oauth.keys import KIND as SIGNING_KEY
from gateway.settle.classes import CLASS_START
from gateway.settle.paging import page_token
from gateway.settle.shares import SHARING_RULE
from operators.administration_policy import ADMINISTRATION_POLICY
from operators.administrators import ADMINISTRATOR
from operators.brakes import BRAKE
from operators.limits import LIMIT
from operators.model import CLIENT, LICENCE, OPERATOR, SCOPE_GRANT
from operators.proposal import PROPOSAL
from operators.regions import REGION, REGION_ADMISSION
from operators.registration import CLIENT_REGISTRATION, SOFTWARE_STATEMENT
from operators.scope_definition import SCOPE_DEFINITION

KINDS: Final = (
    OPERATOR,
    LICENCE,
    CLIENT,
    SCOPE_GRANT,
    SCOPE_DEFINITION,
    PROPOSAL,
    ADMINISTRATION_POLICY,
    ADMINISTRATOR,
    BRAKE,
    LIMIT,
    SOFTWARE_STATEMENT,
    CLIENT_REGISTRATION,
    CATALOGUE_ITEM,
    PRICE_PLAN,
    SHARING_RULE,
    CLASS_START,
    SIGNING_KEY,
    REGION,
    REGION_ADMISSION,
    RESTORATION,
)
_MOST_ID: Final = 128


class History(Desk):
    """The method of OperatorService that shows what was changed."""

    async def list_authority_changes(
        self, request: pb.ListAuthorityChangesRequest, caller: Caller
    ) -> pb.ListAuthorityChangesResponse:
        """Answer ListAuthorityChanges; raises Refused INVALID_REQUEST."""
        del caller  # administrators see the whole history
        require(_faults(request))
        filters = ("changes", request.kind, request.id)
        after, most = page_ask(request.page_size, request.page_token, filters)
        changes = await asyncio.to_thread(
            self._log.history, kind=request.kind, id=request.id, after=after, limit=most + 1
        )
        page = page_of(map(change_message, changes), most)
        more = len(page) < len(changes)
        return pb.ListAuthorityChangesResponse(
            changes=page,
            next_page_token=page_token(page[-1].sequence, filters) if more else "",
        )


def _faults(request: pb.ListAuthorityChangesRequest) -> list[Violation]:
    faults: list[Violation] = []
    if request.kind and request.kind not in KINDS:
        faults.append(Violation("kind", f"use one of {', '.join(KINDS)}, or leave empty"))
    # PostgreSQL's texts cannot hold a zero byte.
    if len(request.id) > _MOST_ID or "\0" in request.id:
        faults.append(Violation("id", f"use the id of a thing, at most {_MOST_ID} characters"))
    return faults
