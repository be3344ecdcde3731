"""AdministratorService: people who administer, registered, given roles, removed."""

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError

from creditgate.refusal import Violation, invalid
from creditgate.v1 import administrator_service_pb2 as pb
from creditgate.v1.administrator_service_pb2 import AdministratorRole
from gateway.administration.desk import Desk, Outcome
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.listing import page_by_id
from gateway.administration.presence import conflict, exists, missing, require_etag
from gateway.administration.request import etag_faults, reason_faults, require
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.catalogue.faults import faults_of, path_of
from operators.administrators import ADMINISTRATOR, Administrator
from operators.authority import Authority
from operators.log import Draft

_MOST_ROLES: Final = 16


class AdministratorService(Desk):
    """Every method of creditgate.v1.AdministratorService.

    The methods take the request and the authenticated caller, whose scope was checked,
    and raise Refused.
    """

    async def register_administrator(
        self, request: pb.RegisterAdministratorRequest, caller: Caller
    ) -> pb.RegisterAdministratorResponse:
        """Answer RegisterAdministrator.

        Raises Refused INVALID_REQUEST, or RESOURCE_EXISTS for an id that is or was taken
        and for a person who administers already.
        """
        outcome = await self._change(request, registering_administrator(request), caller)
        return pb.RegisterAdministratorResponse(
            administrator=_written(outcome), proposal_id=outcome.proposal_id
        )

    async def list_administrators(
        self, request: pb.ListAdministratorsRequest, caller: Caller
    ) -> pb.ListAdministratorsResponse:
        """Answer ListAdministrators; raises Refused INVALID_REQUEST."""
        del caller  # whoever may read them sees all
        known = self._feed.current().authority.administrators
        page, token = page_by_id(
            known,
            lambda administrator_id: administrator_message(known[administrator_id]),
            page_size=request.page_size,
            token=request.page_token,
            filters=("administrators",),
        )
        return pb.ListAdministratorsResponse(administrators=page, next_page_token=token)

    async def set_administrator_roles(
        self, request: pb.SetAdministratorRolesRequest, caller: Caller
    ) -> pb.SetAdministratorRolesResponse:
        """Answer SetAdministratorRoles.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, ETAG_MISMATCH, or
        STATE_CONFLICT for one who was removed and for roles added to one's own.
        """
        outcome = await self._change(request, assigning_roles(request), caller)
        return pb.SetAdministratorRolesResponse(
            administrator=_written(outcome), proposal_id=outcome.proposal_id
        )

    async def remove_administrator(
        self, request: pb.RemoveAdministratorRequest, caller: Caller
    ) -> pb.RemoveAdministratorResponse:
        """Answer RemoveAdministrator.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT for one
        removed already and where a guarded policy could not be changed any more.
        """
        require(reason_faults(request.reason))

        def judge(view: AuthorityView, now: int) -> list[Draft]:
            present = _live(view.authority, request.administrator_id)
            return [_next(present, removed_at=now)]

        (change,) = await self._write(judge, caller, request.reason)
        return pb.RemoveAdministratorResponse(
            administrator=administrator_message(stored(Administrator, change))
        )


def registering_administrator(request: pb.RegisterAdministratorRequest) -> Judge:
    """Return the judge of a registration; raises Refused INVALID_REQUEST."""
    message = request.administrator
    person = _checked(
        {
            "administrator_id": message.administrator_id,
            "display_name": message.display_name,
            "issuer": message.issuer,
            "subject": message.subject,
            "roles": tuple(message.roles),
        },
        ("administrator",),
        reason_faults(request.reason),
    )

    def judge(view: AuthorityView, _now: int) -> list[Draft]:
        _require_new(view.authority, person)
        return [draft(ADMINISTRATOR, person.administrator_id, person)]

    return judge


def assigning_roles(request: pb.SetAdministratorRolesRequest) -> Judge:
    """Return the judge of new roles; raises Refused INVALID_REQUEST."""
    faults = reason_faults(request.reason) + etag_faults("etag", request.etag)
    if not 1 <= len(request.roles) <= _MOST_ROLES:
        faults.append(Violation("roles", "name at least one role, each once"))
    require(faults)

    def judge(view: AuthorityView, _now: int) -> list[Draft]:
        present = _live(view.authority, request.administrator_id)
        require_etag(present, request.etag)
        fields = {**present.model_dump(), "roles": tuple(request.roles)}
        return [draft(ADMINISTRATOR, present.administrator_id, _checked(fields, (), ()))]

    return judge


def administrator_message(administrator: Administrator) -> pb.Administrator:
    """Return an administrator as its message, roles in order."""
    removed = administrator.removed_at
    return pb.Administrator(
        administrator_id=administrator.administrator_id,
        display_name=administrator.display_name,
        issuer=administrator.issuer,
        subject=administrator.subject,
        roles=map(AdministratorRole.ValueType, sorted(administrator.roles)),
        remove_time=None if removed is None else Timestamp(seconds=removed),
        etag=str(administrator.version),
    )


def _written(outcome: Outcome) -> pb.Administrator | None:
    if outcome.proposal_id:
        return None
    (change,) = outcome.changes
    return administrator_message(stored(Administrator, change))


def _checked(
    fields: Mapping[str, object], at: tuple[str, ...], faults: Sequence[Violation]
) -> Administrator:
    try:
        person = Administrator.model_validate(fields)
    except ValidationError as error:
        own = [
            Violation(path_of((*at, *fault.where)), _mend(fault.where, fault.mend))
            for fault in faults_of(error)
        ]
        raise invalid(*faults, *own) from None
    require(faults)
    return person


def _mend(where: tuple[str | int, ...], mend: str) -> str:
    return "name at least one role" if where == ("roles",) else mend


def _require_new(authority: Authority, person: Administrator) -> None:
    # An id is never used again: the history names people by it.
    if person.administrator_id in authority.administrators:
        raise exists("There is or was an administrator of this administrator_id; choose another.")
    for known in authority.administrators.values():
        same = (known.issuer, known.subject) == (person.issuer, person.subject)
        if same and known.removed_at is None:
            raise exists("This person is registered already; SetAdministratorRoles gives roles.")


def _live(authority: Authority, administrator_id: str) -> Administrator:
    present = authority.administrators.get(administrator_id)
    if present is None:
        raise missing("No administrator has this administrator_id; ListAdministrators lists them.")
    if present.removed_at is not None:
        raise conflict("The administrator was removed for good; register the person anew.")
    return present


def _next(present: Administrator, **changed: object) -> Draft:
    return draft(ADMINISTRATOR, present.administrator_id, present.model_copy(update=changed))
