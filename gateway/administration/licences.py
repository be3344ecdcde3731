"""Licences (授权运营许可): issued to operators that stand, and revoked."""

from creditgate.refusal import Violation
from creditgate.v1 import operator_service_pb2 as pb
from gateway.administration.desk import Desk
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.listing import whole
from gateway.administration.message import licence_message
from gateway.administration.presence import (
    conflict,
    exists,
    present_licence,
    present_operator,
    standing_operator,
)
from gateway.administration.request import licence_of, reason_faults, require
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.log import Draft
from operators.model import LICENCE, Licence
from operators.shapes import names_province


class Licences(Desk):
    """The methods of OperatorService about licences."""

    async def issue_licence(
        self, request: pb.IssueLicenceRequest, caller: Caller
    ) -> pb.IssueLicenceResponse:
        """Answer IssueLicence.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND for the holder, RESOURCE_EXISTS,
        or STATE_CONFLICT for a holder that was revoked.
        """
        outcome = await self._change(request, issuing(request), caller)
        response = pb.IssueLicenceResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.licence.CopyFrom(licence_message(stored(Licence, change)))
        return response

    async def list_licences(
        self, request: pb.ListLicencesRequest, caller: Caller
    ) -> pb.ListLicencesResponse:
        """Answer ListLicences; raises Refused RESOURCE_NOT_FOUND, ANSWER_TOO_LARGE."""
        del caller  # administrators see every operator
        authority = self._feed.current().authority
        operator = present_operator(authority, request.operator_id)
        licences = sorted(
            authority.licences_of.get(operator.operator_id, ()),
            key=lambda licence: (licence.valid_from, licence.number),
        )
        return pb.ListLicencesResponse(licences=whole(map(licence_message, licences)))

    async def revoke_licence(
        self, request: pb.RevokeLicenceRequest, caller: Caller
    ) -> pb.RevokeLicenceResponse:
        """Answer RevokeLicence.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT for a licence
        revoked already.
        """
        require(reason_faults(request.reason))

        def judge(view: AuthorityView, now: int) -> list[Draft]:
            licence = present_licence(view.authority, request.number)
            if licence.revoked_at is not None:
                raise conflict("The licence was revoked already.")
            revoked = licence.model_copy(update={"revoked_at": now})
            return [draft(LICENCE, licence.number, revoked)]

        (change,) = await self._write(judge, caller, request.reason)
        return pb.RevokeLicenceResponse(licence=licence_message(stored(Licence, change)))


def issuing(request: pb.IssueLicenceRequest) -> Judge:
    """Return the judge of an IssueLicence request; raises Refused INVALID_REQUEST."""
    licence = licence_of(request.licence, reason_faults(request.reason))

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        # Before the validity is looked at: a repeated request hears that it succeeded,
        # even when the validity has ended meanwhile.
        if licence.number in view.authority.licences:
            raise exists("There is already a licence of this number; choose another.")
        standing_operator(view.authority, licence.operator_id)
        faults: list[Violation] = []
        if licence.valid_until <= now:
            faults.append(Violation("licence.validity.end_time", "must not be over already"))
        faults += [
            Violation(
                f"licence.items[{index}]",
                "no catalogue item has this code; ListCatalogueItems lists them",
            )
            for index, code in enumerate(request.licence.items)
            if code not in view.catalogue
        ]
        faults += [
            Violation(
                f"licence.regions[{index}]",
                "there is no such province: use a division code of GB/T 2260",
            )
            for index, code in enumerate(request.licence.regions)
            if not names_province(code)
        ]
        if not licence.daily_record_quota:
            # It would stop every question that may have records of its items.
            mend = "required: at least 1 record a UTC day"
            faults.append(Violation("licence.daily_record_quota", mend))
        require(faults)
        return [draft(LICENCE, licence.number, licence)]

    return judge
