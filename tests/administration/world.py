"""OperatorService over a real authority log, followed by a real feed, at a time that stands."""

import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Refused, reason_name
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.vocabulary_pb2 import Interval, Openness, Purpose
from gateway.administration.scope_service import ScopeService
from gateway.administration.service import OperatorService
from gateway.authenticate.caller import Caller
from gateway.authority.feed import AuthorityFeed, PollBell
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.pki.client_keys import make_assertion_key
from operators.authority import Authority
from operators.log import AuthorityLog, Change, Draft
from operators.model import CLIENT, LICENCE, SCOPE_GRANT, Client, Licence, ScopeGrant
from operators.roles import scopes_of_role
from tests.clock import NOW, StandingClock
from tests.installation import company, item
from tests.revocations import NothingRevoked

DAY = 86_400
MOST_AT_ONCE = 64
ITEMS = ("penalty", "permit", "tax")
CHIEF = "chief"
REASON = "decision 17 of the office"
CALLER = Caller(
    client_id=CHIEF,
    role=ClientRole.CLIENT_ROLE_ADMINISTRATOR,
    operator_id="",
    token_scopes=frozenset(),
    token_expires_at=NOW + 300,
)
_ADMINISTRATOR = ClientRole.CLIENT_ROLE_ADMINISTRATOR


@dataclass
class World:
    """A service of one process; processes that share a store share ``clock`` and log."""

    log: AuthorityLog
    clock: StandingClock = field(default_factory=StandingClock)

    def __post_init__(self) -> None:
        # Never polls: what the service sees after a write, it fetched itself.
        self.feed = AuthorityFeed(
            self.log,
            revocations=NothingRevoked(),
            clock=self.clock,
            poll_seconds=3_600,
            lease_seconds=3_600,
            monotonic=time.monotonic,
            bell=PollBell(),
        )
        self.service = OperatorService(self.log, self.feed, self.clock)
        self.scopes = ScopeService(self.log, self.feed, self.clock)

    async def __aenter__(self) -> "World":
        await self.feed.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.feed.stop()

    @property
    def authority(self) -> Authority:
        """What this process acts on at its next call."""
        return self.feed.current().authority

    async def create(self, operator_id: str = "alpha") -> pb.Operator:
        """Register an operator."""
        request = create_request(operator_id)
        return (await self.service.create_operator(request, CALLER)).operator

    async def suspend(self, operator_id: str = "alpha") -> pb.Operator:
        """Suspend an operator."""
        request = pb.SuspendOperatorRequest(operator_id=operator_id, reason=REASON)
        return (await self.service.suspend_operator(request, CALLER)).operator

    async def reinstate(self, operator_id: str = "alpha") -> pb.Operator:
        """Reinstate an operator."""
        request = pb.ReinstateOperatorRequest(operator_id=operator_id, reason=REASON)
        return (await self.service.reinstate_operator(request, CALLER)).operator

    async def revoke(self, operator_id: str = "alpha") -> pb.Operator:
        """Revoke an operator."""
        request = pb.RevokeOperatorRequest(operator_id=operator_id, reason=REASON)
        return (await self.service.revoke_operator(request, CALLER)).operator

    async def issue(self, number: str = "L-1", **fields: Any) -> pb.Licence:
        """Issue a licence; see `licence`."""
        request = pb.IssueLicenceRequest(licence=licence(number, **fields), reason=REASON)
        return (await self.service.issue_licence(request, CALLER)).licence

    async def end_licence(self, number: str = "L-1") -> pb.Licence:
        """Revoke a licence."""
        request = pb.RevokeLicenceRequest(number=number, reason=REASON)
        return (await self.service.revoke_licence(request, CALLER)).licence

    async def register(self, client_id: str, role: str, operator_id: str = "") -> pb.Client:
        """Register a client of ``role`` ("OPERATOR", ...)."""
        request = pb.RegisterClientRequest(
            client=client(client_id, role, operator_id), reason=REASON
        )
        return (await self.service.register_client(request, CALLER)).client

    async def rotate(self, client_id: str, etag: str, *certificates: str) -> pb.Client:
        """Give a client new keys and certificates, these named."""
        request = pb.RotateClientKeysRequest(
            client_id=client_id,
            jwks=jwks("next"),
            certificate_thumbprints=map(thumbprint, certificates),
            etag=etag,
            reason=REASON,
        )
        return (await self.service.rotate_client_keys(request, CALLER)).client

    async def remove(self, client_id: str) -> pb.Client:
        """Remove a client."""
        request = pb.RemoveClientRequest(client_id=client_id, reason=REASON)
        return (await self.service.remove_client(request, CALLER)).client

    async def grant(self, *grants: pb.ScopeGrant) -> list[str]:
        """Grant scopes and return the ids of the grants."""
        request = pb.GrantScopesRequest(grants=grants, reason=REASON)
        return [made.grant_id for made in (await self.service.grant_scopes(request, CALLER)).grants]

    async def withdraw(self, *grant_ids: str) -> list[pb.ScopeGrant]:
        """Withdraw grants."""
        request = pb.WithdrawScopesRequest(grant_ids=grant_ids, reason=REASON)
        return list((await self.service.withdraw_scopes(request, CALLER)).grants)

    async def administrator(self, client_id: str, *, until: int | None = None) -> None:
        """Register an administrator's client and grant it every scope of its role."""
        await self.register(client_id, "ADMINISTRATOR")
        scopes = sorted(scopes_of_role(_ADMINISTRATOR))
        for first in range(0, len(scopes), MOST_AT_ONCE):
            some = scopes[first : first + MOST_AT_ONCE]
            await self.grant(*(grant(client_id, scope, until=until) for scope in some))

    def history(self, kind: str = "", id_: str = "") -> tuple[Change, ...]:
        """Return the log, or one thing's part of it."""
        return self.log.history(kind=kind, id=id_, after=0, limit=10_000)


def furnish(log: AuthorityLog) -> None:
    """Put in what an installation starts with: a catalogue and the first administrator."""
    items = [item(code, Openness.OPENNESS_PUBLIC) for code in ITEMS]
    chief = Client(
        client_id=CHIEF,
        role=_ADMINISTRATOR,
        jwks=jwks(),
        certificate_thumbprints=frozenset({thumbprint(CHIEF)}),
    )
    grants = [
        ScopeGrant(grant_id=f"{CHIEF}-{number}", grantee=CHIEF, scope=scope, valid_from=NOW)
        for number, scope in enumerate(sorted(scopes_of_role(_ADMINISTRATOR)))
    ]
    log.append(
        [
            *(Draft(CATALOGUE_ITEM, made.code, 0, made.as_document()) for made in items),
            Draft(CLIENT, CHIEF, 0, chief.as_document()),
            *(Draft(SCOPE_GRANT, made.grant_id, 0, made.as_document()) for made in grants),
        ],
        changed_by="installation",
        changed_at=NOW,
        reason="set-up",
    )


def keep_large_licences(log: AuthorityLog, until: int, start: int = 0) -> None:
    """Put in licences of operator alpha, about 70 kB each."""
    made = [
        Licence(
            number=f"large-{number}",
            operator_id="alpha",
            valid_from=NOW,
            valid_until=NOW + DAY,
            items=frozenset(f"i{index:063d}" for index in range(1_000)),
            purposes=frozenset({Purpose.PURPOSE_BIDDING}),
            regions=frozenset({"11"}),
            daily_record_quota=1,
        )
        for number in range(start, until)
    ]
    log.append(
        [Draft(LICENCE, licence.number, 0, licence.as_document()) for licence in made],
        changed_by="installation",
        changed_at=NOW,
        reason="set-up",
    )


def create_request(operator_id: str) -> pb.CreateOperatorRequest:
    """Return a good request for an operator."""
    number = int.from_bytes(sha256(operator_id.encode()).digest()[:4], "big") % 10**9
    return pb.CreateOperatorRequest(
        operator=pb.Operator(
            operator_id=operator_id,
            display_name=f"Invented firm {operator_id}",
            uscc=company(number),
        ),
        reason=REASON,
    )


def period(start: int | None, end: int | None) -> Interval:
    """Return an interval in seconds UTC."""
    return Interval(
        start_time=None if start is None else Timestamp(seconds=start),
        end_time=None if end is None else Timestamp(seconds=end),
    )


def licence(
    number: str = "L-1",
    *,
    operator_id: str = "alpha",
    start: int = NOW,
    end: int = NOW + 365 * DAY,
    items: Iterable[str] = ITEMS,
    purposes: Iterable[Purpose.ValueType] = (
        Purpose.PURPOSE_BIDDING,
        Purpose.PURPOSE_SUPPLIER_CHECK,
    ),
    regions: Iterable[str] = ("11", "3201"),
    quota: int = 1_000,
) -> pb.Licence:
    """Return a good licence."""
    return pb.Licence(
        number=number,
        operator_id=operator_id,
        validity=period(start, end),
        items=items,
        purposes=purposes,
        regions=regions,
        daily_record_quota=quota,
    )


def client(client_id: str, role: str = "OPERATOR", operator_id: str = "") -> pb.Client:
    """Return a good client, with a certificate of the same name."""
    return pb.Client(
        client_id=client_id,
        role=ClientRole.Value(f"CLIENT_ROLE_{role}"),
        operator_id=operator_id,
        jwks=jwks(),
        certificate_thumbprints=[thumbprint(client_id)],
    )


def grant(
    grantee: str = "alpha",
    scope: str = "credit.records:read",
    *,
    start: int | None = NOW,
    until: int | None = None,
    items: Iterable[str] = (),
    purposes: Iterable[Purpose.ValueType] = (),
    regions: Iterable[str] = (),
) -> pb.ScopeGrant:
    """Return a grant."""
    return pb.ScopeGrant(
        grantee=grantee,
        scope=scope,
        items=items,
        purposes=purposes,
        regions=regions,
        validity=period(start, until),
    )


@cache
def jwks(name: str = "first") -> str:
    """Return public keys; the same for the same name."""
    del name
    return make_assertion_key().jwks


def thumbprint(name: str) -> str:
    """Return the thumbprint of a certificate of that name."""
    return urlsafe_b64encode(sha256(name.encode()).digest()).decode().rstrip("=")


def reason_of(refusal: pytest.ExceptionInfo[Refused]) -> str:
    """Return the name of the reason of a refusal."""
    return reason_name(refusal.value.reason)


def fields_of(refusal: pytest.ExceptionInfo[Refused]) -> list[str]:
    """Return the fields an invalid request was refused for."""
    assert reason_of(refusal) == "INVALID_REQUEST"
    return [violation.field for violation in refusal.value.violations]
