"""Software statements: issued to operators with a licence in force, shown while good."""

from secrets import token_hex

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import registration_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.administration.desk import Desk
from gateway.administration.journal import Judge, ViewFeed, draft, stored
from gateway.administration.presence import (
    conflict,
    missing,
    present_licence,
    standing_operator,
)
from gateway.administration.request import reason_faults, statement_of
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.oauth.signing import SigningKeys
from gateway.oauth.software_statement import signed_statement
from operators.log import AuthorityLog, Draft
from operators.registration import SOFTWARE_STATEMENT, SoftwareStatement


class RegistrationService(Desk):
    """Every method of creditgate.v1.RegistrationService.

    ``issuer`` is the authorisation server's, which accepts the statements it issues.
    """

    def __init__(
        self, log: AuthorityLog, feed: ViewFeed, clock: Clock, keys: SigningKeys, issuer: str
    ) -> None:
        super().__init__(log, feed, clock)
        self._keys = keys
        self._issuer = issuer

    async def issue_software_statement(
        self, request: pb.IssueSoftwareStatementRequest, caller: Caller
    ) -> pb.IssueSoftwareStatementResponse:
        """Answer IssueSoftwareStatement.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND for operator or licence, or
        STATE_CONFLICT for an operator that is not active or a licence that is not in force.
        """
        outcome = await self._change(request, attesting(request), caller)
        response = pb.IssueSoftwareStatementResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            statement = stored(SoftwareStatement, change)
            response.statement.CopyFrom(_message(statement))
            response.software_statement = self._signed(statement)
        return response

    async def get_software_statement(
        self, request: pb.GetSoftwareStatementRequest, caller: Caller
    ) -> pb.GetSoftwareStatementResponse:
        """Answer GetSoftwareStatement; raises Refused RESOURCE_NOT_FOUND."""
        del caller  # administrators see every statement
        statement = self._feed.current().authority.statements.get(request.statement_id)
        if statement is None:
            raise missing("No software statement has this statement_id.")
        good = statement.used_by is None and self._clock.now() < statement.expires_at
        return pb.GetSoftwareStatementResponse(
            statement=_message(statement),
            software_statement=self._signed(statement) if good else "",
        )

    def _signed(self, statement: SoftwareStatement) -> str:
        book = self._feed.current().signing_keys
        return signed_statement(self._keys, book, self._issuer, statement, self._clock.now())


def attesting(request: pb.IssueSoftwareStatementRequest) -> Judge:
    """Return the judge of an IssueSoftwareStatement request; raises Refused INVALID_REQUEST."""
    asked = statement_of(request, token_hex(16), reason_faults(request.reason))

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        operator = standing_operator(view.authority, asked.operator_id)
        if operator.state != OperatorState.OPERATOR_STATE_ACTIVE:
            raise conflict("The operator is suspended; reinstate it first.")
        licence = present_licence(view.authority, asked.licence)
        if licence.operator_id != operator.operator_id:
            raise missing("The operator has no licence of this number; ListLicences lists them.")
        if not licence.in_force(now):
            raise conflict("The licence is not in force.")
        issued = {"issued_at": now, "expires_at": now + asked.expires_at}
        statement = asked.model_copy(update=issued)
        return [draft(SOFTWARE_STATEMENT, statement.statement_id, statement)]

    return judge


def _message(statement: SoftwareStatement) -> pb.SoftwareStatement:
    return pb.SoftwareStatement(
        statement_id=statement.statement_id,
        operator_id=statement.operator_id,
        licence_number=statement.licence,
        software_id=statement.software_id,
        expire_time=Timestamp(seconds=statement.expires_at),
        used_by=statement.used_by or "",
        etag=str(statement.version),
        update_time=Timestamp(seconds=statement.changed_at),
    )
