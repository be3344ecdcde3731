"""Which authorities' client certificates connections may show: the gateway's own, and those of
the regions that are admitted and stand with the anchor, as their chains name them.

They open the TLS connection and nothing else: who a client is follows from the thumbprint of
its certificate, so that no authority of one region can make a client of another. Nor may it keep
one out: each is read by itself, one that a TLS library could take for an earlier one is left out,
and the names of all fit into what a server sends of them. A region's authorities are taken in
while the gateway runs; from the HTTPS side they go with its restart.
"""

import logging
import ssl
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, cast

import grpc

from creditgate.refusal import Refused
from gateway.federation.trust.authorities import Authority, as_pem, read_authorities
from operators.regions import MOST_REGIONS, KnownRegion, Regions

MOST_NAMES_BYTES: Final = 60_000
"""Most bytes that the names of all authorities have: their list has two bytes for its length
(RFC 8446 section 4.2.4), and a server that cannot write it answers nobody."""

_EACH_NAME_BYTES: Final = 2
_log = logging.getLogger(__name__)


class _Taken(NamedTuple):
    """What was taken of a state of authority, while these regions stood."""

    regions: Regions
    standing: tuple[str, ...]
    pems: tuple[bytes, ...]


class ClientRoots:
    """The authorities of the moment; any thread.

    ``regions`` gives the regions known, and raises Refused where they are not known; ``stands``
    tells of an entity identifier whether the anchor has it enrolled and not cut off, as far as
    the anchor was ever heard.
    """

    def __init__(
        self, own: Path, regions: Callable[[], Regions], stands: Callable[[str], bool]
    ) -> None:
        self._own = own
        self._regions = regions
        self._stands = stands
        self._taken: _Taken | None = None
        self._told: set[tuple[str, str]] = set()

    def own(self) -> bytes:
        """Return the gateway's own authorities (PEM). Raises OSError."""
        content = self._own.read_bytes()
        found = _read_own(content)
        # Written anew as those of regions are: whatever else is in the file ends no reading.
        return as_pem(found) if found else content.strip() + b"\n"

    def of_regions(self) -> tuple[bytes, ...] | None:
        """Return the authorities of regions (PEM), one by one, each once; None while it is not
        known which regions there are. Raises OSError."""
        try:
            regions = self._regions()
        except Refused:
            return None
        admitted = _admitted(regions)
        standing = tuple(each.entity_id for each in admitted if self._stands(each.entity_id))
        taken = self._taken
        if taken is None or taken.regions is not regions or taken.standing != standing:
            some = [each for each in admitted if each.entity_id in standing]
            taken = self._taken = _Taken(regions, standing, self._taken_of(some))
        return taken.pems

    def _taken_of(self, regions: list[KnownRegion]) -> tuple[bytes, ...]:
        kept = list(_read_own(self._own.read_bytes()))
        found: dict[bytes, None] = {}
        for region, theirs in self._with_room(regions, MOST_NAMES_BYTES - _names_bytes(kept)):
            clear = [each for each in theirs if not any(each.may_hide(one) for one in kept)]
            if len(clear) < len(theirs):
                self._tell(region, "are named as others that were there before")
            kept += clear
            found |= dict.fromkeys(each.pem for each in clear)
        return tuple(found)

    def _with_room(
        self, regions: list[KnownRegion], room: int
    ) -> list[tuple[KnownRegion, tuple[Authority, ...]]]:
        """Return the regions with their authorities, those left out that cannot be read or whose
        names are too long together.

        Each region has its share of ``room`` (bytes), whatever others name, and those whose names
        need more have what is left by the rest.
        """
        read: list[tuple[KnownRegion, tuple[Authority, ...]]] = []
        for region in regions:
            try:
                read.append((region, _read(region.roots)))
            except ValueError:
                self._tell(region, "cannot be read")
        share = room // max(1, len(read))
        left = room - sum(size for _, each in read if (size := _names_bytes(each)) <= share)
        fitting: list[tuple[KnownRegion, tuple[Authority, ...]]] = []
        for region, each in read:
            size = _names_bytes(each)
            if size > share:
                if size > left:
                    self._tell(region, "have longer names than there is room for")
                    continue
                left -= size
            fitting.append((region, each))
        return fitting

    def _tell(self, region: KnownRegion, why: str) -> None:
        """Say once why authorities of a region are left out."""
        if (region.entity_id, why) not in self._told:
            self._told.add((region.entity_id, why))
            _log.error("authorities of %s %s: they are left out", region.entity_id, why)


def following_grpc_tls(key: Path, certificate: Path, roots: ClientRoots) -> grpc.ServerCredentials:
    """Return the credentials of a gRPC server that takes ``roots`` in as they change.

    Raises OSError where a file cannot be read.
    """

    def configured(pems: tuple[bytes, ...]) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(key.read_bytes(), certificate.read_bytes())],
            root_certificates=b"".join([roots.own(), *pems]),
        )

    seen = roots.of_regions() or ()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        # Asked at each handshake, by a thread of gRPC's own; None keeps what there is.
        nonlocal seen
        pems = roots.of_regions()
        if pems is None or pems == seen:
            return None
        configuration = configured(pems)
        seen = pems
        return configuration

    return grpc.dynamic_ssl_server_credentials(
        # Its stub knows no None, which keeps what there is.
        configured(seen),
        cast("Callable[[], grpc.ServerCertificateConfiguration]", changed),
        require_client_authentication=True,
    )


class FollowingContext:
    """Takes the authorities of regions into the TLS settings of a server that runs."""

    def __init__(self, context: ssl.SSLContext, roots: ClientRoots) -> None:
        self._context = context
        self._roots = roots
        self._taken: set[bytes] = set()

    async def step(self) -> bool:
        """Take in what is new; never tells of more to do at once."""
        for pem in self._roots.of_regions() or ():
            if pem not in self._taken:
                self._taken.add(pem)
                self._take(pem)
        return False

    def _take(self, pem: bytes) -> None:
        try:
            self._context.load_verify_locations(cadata=pem.decode("ascii"))
        except ssl.SSLError as error:
            # One that is refused keeps no other out.
            _log.error("an authority of a region is not taken: %s", type(error).__name__)


def _admitted(regions: Regions) -> list[KnownRegion]:
    """Return the regions that are admitted and known, whoever was admitted first before others:
    what a region states later takes nothing from those that were there."""
    found = [
        (admission.admitted_at, regions.known[client_id])
        for client_id in regions.admissions
        if (admission := regions.admission(client_id)) is not None and client_id in regions.known
    ]
    return [known for _, known in sorted(found, key=lambda each: (each[0], each[1].entity_id))]


@lru_cache(MOST_REGIONS)
def _read(pem: str) -> tuple[Authority, ...]:
    """Return the authorities of a region, read once: any change of any region looks at all.

    Raises ValueError, also for one that a TLS library cannot read.
    """
    found = read_authorities(pem)
    for each in found:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=each.der)
        except ssl.SSLError:
            raise ValueError("an authority cannot be read") from None
    return found


def _read_own(content: bytes) -> tuple[Authority, ...]:
    try:
        return read_authorities(content.decode("ascii"), most=len(content))
    except ValueError:
        # Its own people's: TLS libraries say what is wrong with it.
        return ()


def _names_bytes(authorities: Iterable[Authority]) -> int:
    return sum(_EACH_NAME_BYTES + each.name_bytes for each in authorities)
