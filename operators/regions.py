"""Regions: what is known of them from their trust chains, and which of them are admitted.

Two kinds of the authority log, by two writers: what a region's verified trust chain says
(`KnownRegion`, by the process that follows the chains), and under which operator an
administrator admitted it (`RegionAdmission`). Together they make the region's client, whose
keys and certificates nobody registers by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    model_validator,
)

from creditgate.federated_query import region_client_id
from creditgate.v1.operator_service_pb2 import ClientRole
from operators import shapes
from operators.jwks import public_jwks
from operators.kept import Kept
from operators.model import IN_ORDER, TOKEN_EXCHANGE, Client, Instant

REGION: Final = "region"
REGION_ADMISSION: Final = "region_admission"

REGION_CLASS: Final = "region"
"""Class of the operators that regions are admitted as."""

MOST_REGIONS: Final = 256
"""Most regions one gateway knows; the country has 31 of the first level."""

_MOST_ADDRESSES: Final = 8
_MOST_CODES: Final = 1_000
_MOST_CERTIFICATES: Final = 8
MOST_ROOTS_CHARACTERS: Final = 65_536
"""Most characters that the authorities of one region have (PEM)."""

_MOST_KEYS_CHARACTERS: Final = 65_536
_MOST_LINKS: Final = 32

EntityId = Annotated[
    str,
    AfterValidator(
        shapes.matching(
            r"https://[A-Za-z0-9.\[\]:_~%/-]{1,248}",
            "use an entity identifier: an https URL of at most 255 characters without query",
        )
    ),
]
Address = Annotated[
    str,
    AfterValidator(
        shapes.matching(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]{1,253}):[0-9]{1,5}", "use host:port")
    ),
]
HttpsUrl = Annotated[
    str,
    AfterValidator(
        shapes.matching(r"https://[!-~]{1,504}", "use an https URL of at most 512 characters")
    ),
]
DivisionCode = Annotated[
    str,
    AfterValidator(
        shapes.matching(
            "[0-9]{2}|[0-9]{4}|[0-9]{6}",
            "use an administrative division code of 2, 4 or 6 digits (GB/T 2260)",
        )
    ),
]
LogPurposeName = Literal["disclosure", "usage", "witness"]
_ClientId = Annotated[str, AfterValidator(shapes.client_id)]
_VerifierKey = Annotated[str, StringConstraints(min_length=1, max_length=512)]
_Note = Annotated[str, StringConstraints(min_length=1, max_length=4_096)]
_Links = Annotated[tuple[_Note, ...], Field(max_length=_MOST_LINKS)]


class RegionDescription(Kept):
    """A region as it describes itself (metadata type ``public_credit_region``), with what its
    superiors allow of that applied.

    ``grpc`` are addresses "host:port" of its methods, ``issuer`` is its authorisation server,
    ``roots`` the CAs (PEM) of its server's and its federation clients' certificates, which
    ``certificate_thumbprints`` name (RFC 8705 x5t#S256). ``codes`` are the division codes it
    is home of. ``log_keys`` are C2SP verifier keys by what they sign, ``log_links`` the signed
    notes that link former and next ones to them; ``jwks`` and
    ``document_keys`` JWK Sets (JSON): of its client assertions, and of its documents.
    """

    grpc: Annotated[tuple[Address, ...], Field(min_length=1, max_length=_MOST_ADDRESSES)]
    issuer: HttpsUrl
    roots: Annotated[str, StringConstraints(min_length=1, max_length=MOST_ROOTS_CHARACTERS)]
    certificate_thumbprints: Annotated[
        frozenset[Annotated[str, AfterValidator(shapes.certificate_thumbprint)]],
        Field(min_length=1, max_length=_MOST_CERTIFICATES),
        IN_ORDER,
    ]
    codes: Annotated[tuple[DivisionCode, ...], Field(min_length=1, max_length=_MOST_CODES)]
    log_keys: Annotated[dict[LogPurposeName, _VerifierKey], Field(default_factory=dict)]
    log_links: Annotated[dict[LogPurposeName, _Links], Field(default_factory=dict)]
    jwks: Annotated[str, AfterValidator(public_jwks)]
    document_keys: Annotated[str, StringConstraints(max_length=_MOST_KEYS_CHARACTERS)]
    catalogue: HttpsUrl
    catalogue_version: Annotated[str, StringConstraints(max_length=64)] = ""


class KnownRegion(RegionDescription):
    """What a region's trust chain says, as last verified.

    ``chain_digest`` is the SHA-256 (hex) over the statements of the chain, ``stands_until``
    when the first of them expires (seconds, UTC), ``revision`` the anchor's number of what it
    states of the region.
    """

    client_id: _ClientId
    entity_id: EntityId
    revision: Annotated[int, Field(ge=0, lt=1 << 53)]
    chain_digest: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    stands_until: Instant

    @model_validator(mode="after")
    def _id_follows_from_entity(self) -> Self:
        _require_own_id(self.client_id, self.entity_id)
        return self


class RegionAdmission(Kept):
    """Under which operator a region may ask here; over once ``dismissed_at`` is set."""

    client_id: _ClientId
    entity_id: EntityId
    operator_id: Annotated[str, AfterValidator(shapes.operator_id)]
    admitted_at: Instant
    dismissed_at: Instant | None = None

    @model_validator(mode="after")
    def _id_follows_from_entity(self) -> Self:
        _require_own_id(self.client_id, self.entity_id)
        return self


@dataclass(frozen=True, slots=True)
class Regions:
    """Regions known and admissions made, both by client id. Immutable."""

    known: Mapping[str, KnownRegion] = field(default_factory=dict[str, KnownRegion])
    admissions: Mapping[str, RegionAdmission] = field(default_factory=dict[str, RegionAdmission])

    def advanced(
        self, known: Mapping[str, KnownRegion], admissions: Mapping[str, RegionAdmission]
    ) -> "Regions":
        """Return the state with the newer versions given."""
        if not known and not admissions:
            return self
        return Regions({**self.known, **known}, {**self.admissions, **admissions})

    def admission(self, client_id: str) -> RegionAdmission | None:
        """Return the admission of a region that stands, None where there is none."""
        admission = self.admissions.get(client_id)
        return None if admission is None or admission.dismissed_at is not None else admission

    def clients(self) -> dict[str, Client]:
        """Return the clients of the regions that were admitted and whose chains are known.

        One that was dismissed stays known as a removed client. Whether a region stands at an
        instant is not told here: that follows from the anchor's news and the chain's life.
        """
        return {
            client_id: _client(self.known[client_id], admission)
            for client_id, admission in self.admissions.items()
            if client_id in self.known
        }


def _client(known: KnownRegion, admission: RegionAdmission) -> Client:
    return Client(
        version=admission.version,
        changed_at=max(known.changed_at, admission.changed_at),
        client_id=known.client_id,
        role=ClientRole.CLIENT_ROLE_REGION,
        operator_id=admission.operator_id,
        jwks=known.jwks,
        certificate_thumbprints=known.certificate_thumbprints,
        grant_types=frozenset({"client_credentials", TOKEN_EXCHANGE}),
        removed_at=admission.dismissed_at,
    )


def _require_own_id(client_id: str, entity_id: str) -> None:
    if client_id != region_client_id(entity_id):
        raise ValueError("the client id of a region follows from its entity identifier")
