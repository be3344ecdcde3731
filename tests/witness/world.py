"""A witness on a real store, and a region whose log it knows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from creditgate.refusal import Refused
from creditgate.transparency.note import VerifierKey
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.trust.book import Region
from gateway.federation.witness.belief import Belief
from gateway.federation.witness.gossip import Gossip
from gateway.federation.witness.keys import WitnessKey
from gateway.federation.witness.logs import RegionLog, log_of
from gateway.federation.witness.splits import Accused, SplitViews
from gateway.federation.witness.witness import Witness
from gateway.storage.engines import Engines
from gateway.transparency.log import MerkleLog
from gateway.transparency.tables import LogId
from operators.regions import region_client_id
from tests.clock import StandingClock
from tests.transparency.keys import key_of
from tests.witness.histories import History

OWN = "https://own.invalid"


def region(name: str, log: str = "", witness: str = "") -> Region:
    """Return a region that stands, invented but for its keys."""
    entity_id = f"https://{name}.invalid"
    keys = {"disclosure": log, "witness": witness}
    return Region(
        entity_id=entity_id,
        operator_id=f"region-of-{name}",
        client_id=region_client_id(entity_id),
        grpc=("127.0.0.1:1",),
        issuer=entity_id,
        roots=b"",
        certificate_thumbprints=frozenset(),
        codes=("00",),
        log_keys={purpose: key for purpose, key in keys.items() if key},  # type: ignore[misc]
        jwks="{}",
        document_keys="{}",
        catalogue=f"{entity_id}/catalogue",
        catalogue_version="1",
        stands_until=1 << 40,
    )


def log_at(entity_id: str, key: VerifierKey, *notes: str) -> RegionLog:
    """Return the log of a region, by its present key and what leads to that."""
    invented = region("any", str(key))._replace(
        entity_id=entity_id, log_links={"disclosure": notes} if notes else {}
    )
    log = log_of(invented)
    assert log is not None
    return log


@dataclass
class Regions:
    """The regions that stand: a book of them that is written by the test."""

    standing: Sequence[Region] = ()

    def regions(self) -> Sequence[Region]:
        """Return them."""
        return self.standing

    def region(self, entity_id: str) -> Region:
        """Return one of them."""
        for each in self.standing:
            if each.entity_id == entity_id:
                return each
        raise Refused(RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED, "not one that stands")

    def own(self) -> Region:
        """Return this region itself."""
        return region("own")

    def stands(self, entity_id: str) -> bool:
        """Tell whether one stands."""
        return any(each.entity_id == entity_id for each in self.standing)


@dataclass
class Waiting:
    """What waits to be joined."""

    notes: list[str] = field(default_factory=list)

    def add(self, log: RegionLog, note: str, told_by: str) -> None:
        """Take a checkpoint."""
        del log, told_by
        self.notes.append(note)


class World:
    """One region's witness, and the log of a region called abroad."""

    def __init__(self, engines: Engines, folder: Path, history: History) -> None:
        self.engines = engines
        self.folder = folder
        self.clock = StandingClock()
        self.history = history
        self.abroad = region("abroad", str(history.key.verifier))
        self.book = Regions([self.abroad])
        self.splits = SplitViews(engines.evidence)
        self.joining = Waiting()
        self.found = 0
        self.believing: list[Belief] = []
        self.own = MerkleLog(
            engines.evidence, LogId.DISCLOSURE, key_of("own.invalid/log/disclosure")
        )
        self.witness = self.started()

    def started(self) -> Witness:
        """Return the witness as a process that starts now has it."""
        key = WitnessKey.kept_in(self.folder / "witness.pem", OWN)
        witness = Witness(self.engines.evidence, key)
        witness.require_memory()
        return witness

    def gossip(self) -> Gossip:
        """Return what compares notes."""

        def found() -> None:
            self.found += 1

        accused = Accused(OWN, region_client_id(OWN))
        return Gossip(self.witness, self.splits, self.book, self.own, accused, self.joining, found)

    def stands(self, *regions: Region) -> None:
        """Let other regions stand."""
        self.book = replace(self.book, standing=regions)
