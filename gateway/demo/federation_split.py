"""A region of the demo forges: it signs another history of its log, and shows it to a peer."""

import secrets

from creditgate.transparency.note import Checkpoint, checkpoint_body, signed
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.witness_service_pb2 import WitnessedLog
from gateway.clock import SystemClock
from gateway.demo.federation_land import Province
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.tokens import RegionTokens
from gateway.federation.trust.book import Region
from gateway.federation.trust.entity_key import EntityKey
from gateway.federation.trust.own import OwnRegion
from gateway.federation.witness.calling import ExchangeCalls
from gateway.transparency.keys import LogKey
from gateway.transparency.tables import LogId
from operators.regions import region_client_id


async def show_another_history(liar: Province, witness: Province, log: WitnessedLog) -> str:
    """Show ``witness`` a checkpoint of the size it cosigned last, of another root, signed by
    the log's own key; return what it says. Raises PeerLost."""
    key = LogKey.kept_in(liar.home.log_key(LogId.DISCLOSURE.path), log.origin).named(log.origin)
    body = checkpoint_body(Checkpoint(log.origin, log.tree_size, secrets.token_bytes(32)))
    shown = pb.CheckpointShown(checkpoint=signed(body, key), old_tree_size=log.tree_size)
    own = _own(liar)
    links, tokens = RegionLinks(own), RegionTokens(own)
    try:
        answer = await ExchangeCalls(links, tokens).exchange(
            _as_region(witness), pb.ExchangeCheckpointsRequest(checkpoints=[shown])
        )
    finally:
        await tokens.close()
        await links.close()
    (said,) = answer.witnessed
    return pb.WitnessOutcome.Name(said.outcome).removeprefix("WITNESS_OUTCOME_")


def _own(province: Province) -> OwnRegion:
    home = province.home
    return OwnRegion(
        entity_id=province.entity_id,
        certificate=home.federation_certificate,
        key=home.federation_certificate_key,
        roots=home.ca.read_text(encoding="ascii"),
        entity_key=EntityKey.kept_in(home.federation_key),
        assertion_key=EntityKey.kept_in(home.federation_assertion_key),
        clock=SystemClock(),
    )


def _as_region(province: Province) -> Region:
    """Return what is needed of a region to call it."""
    return Region(
        entity_id=province.entity_id,
        operator_id="",
        client_id=region_client_id(province.entity_id),
        grpc=(province.running.grpc,),
        issuer=province.running.issuer,
        roots=province.home.ca.read_bytes(),
        certificate_thumbprints=frozenset(),
        codes=(province.region.code,),
        log_keys={},
        jwks="",
        document_keys="",
        catalogue="",
        catalogue_version="",
        stands_until=0,
    )
