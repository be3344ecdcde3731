"""The book of regions: who may be asked, and who may ask, at this instant."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol

LogPurpose = Literal["disclosure", "usage", "witness"]
"""What a key of a region signs: checkpoints of its disclosure log, those of its usage logs,
cosignatures of the checkpoints of others."""

LOG_PURPOSES: Final[tuple[LogPurpose, ...]] = ("disclosure", "usage", "witness")


class Region(NamedTuple):
    """A region as its verified trust chain describes it, and how it is known here.

    ``entity_id`` is its https URL (OpenID Federation 1.0 section 1.2); ``operator_id`` the
    operator it is admitted as, "" where this region only asks it; ``client_id`` the id it
    authenticates by, which follows from the entity id. ``grpc`` are addresses "host:port",
    ``issuer`` its authorisation server; ``roots`` the CAs of its server and client
    certificates (PEM), ``certificate_thumbprints`` those of its federation clients (RFC 8705
    x5t#S256). ``codes`` are the division codes it is home of (GB/T 2260 prefixes).
    ``log_keys`` are C2SP verifier keys by purpose, ``log_links`` the notes that link
    former and next ones to them (`gateway.federation.trust.log_keys`), ``jwks`` the JWK Set (JSON) it signs
    client assertions with, ``document_keys`` that of its documents: licence credentials,
    status lists, consent receipts, receipts, reports. ``catalogue`` is the URL of its
    catalogue, ``catalogue_version`` the version. It stands before ``stands_until`` (seconds,
    UTC), when the first statement of its chain expires.
    """

    entity_id: str
    operator_id: str
    client_id: str
    grpc: tuple[str, ...]
    issuer: str
    roots: bytes
    certificate_thumbprints: frozenset[str]
    codes: tuple[str, ...]
    log_keys: Mapping[LogPurpose, str]
    jwks: str
    document_keys: str
    catalogue: str
    catalogue_version: str
    stands_until: int
    log_links: Mapping[LogPurpose, tuple[str, ...]] = MappingProxyType({})


class RegionBook(Protocol):
    """Tells which regions stand now. Calls do not block: they read what is held in memory."""

    def regions(self) -> Sequence[Region]:
        """Return every region that stands, in order of entity id, this one left out.

        Empty where nothing can be known: ask `region`, which tells that apart.
        """
        ...

    def region(self, entity_id: str) -> Region:
        """Return a region that stands.

        Raises Refused: FEDERATION_UNKNOWN where the news is older than the lease,
        REGION_NOT_TRUSTED for every other region than those that stand.
        """
        ...

    def own(self) -> Region:
        """Return this region as its own chain has it: with the codes that the anchor gave it.

        Raises Refused as `region`.
        """
        ...

    def stands(self, entity_id: str) -> bool:
        """Tell whether a region stands now; False too where that cannot be known."""
        ...
