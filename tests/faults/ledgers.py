"""What regions have in their stores in the end, as `tests.faults.model` takes it."""

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import select

from creditgate.transparency.merkle import leaf_hash
from creditgate.v1.usage_log_pb2 import UsageReceipt
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.meter.model import ANSWER
from gateway.meter.tables import USAGE
from gateway.selfcheck.check import check_stores
from gateway.storage.engines import reading
from gateway.transparency.salts import Salts
from gateway.transparency.tables import LogId
from tests.faults.model import Kept, Served, Use, faults
from tests.faults.regions import CHUNK, Region
from tests.faults.watching import Watcher
from tests.receipts import verified

_OPERATOR = "region-one"


def broken_promises(watcher: Watcher) -> list[str]:
    """Return what the model, the logs of all regions and the receipts find wrong."""
    country = watcher.country
    served = [each for home in country.homes for each in _served(watcher, home)]
    found = faults(watcher.history, _kept(country.asking), served)
    for region in country.regions.values():
        found += _of_logs(region)
    for home in country.homes:
        found += _of_receipts(country.asking, home)
    return found


def _kept(asking: Region) -> list[Kept]:
    with reading(asking.installation.engines.records) as connection:
        rows = connection.execute(select(REGION_ANSWERS)).all()
        uses = connection.execute(
            select(REGION_USES.c.region_request_id, REGION_USES.c.first_subject)
        ).all()
    metered = Counter((use.region_request_id, use.first_subject) for use in uses)
    return [
        Kept(
            row.request_id,
            Use(
                *(row.region, row.region_request_id, row.first_subject // CHUNK),
                metered[row.region_request_id, row.first_subject],
                *(row.region_fee, row.served_at),
            ),
            row.records,
        )
        for row in rows
    ]


def _served(watcher: Watcher, home: Region) -> Iterator[Served]:
    asked = select(USAGE).where(USAGE.c.operator_id == _OPERATOR, USAGE.c.kind == ANSWER)
    with reading(home.installation.engines.records) as connection:
        rows = connection.execute(asked).all()
    for row in rows:
        use = Use(
            *(home.issuer, row.request_id, row.chunk),
            *(row.entry_count, row.fee, row.served_at),
        )
        last = watcher.last_used.get((home.name, row.consent))
        yield Served(use, consent_stood=last is None or row.sequence <= last)


def _of_logs(region: Region) -> Iterator[str]:
    installation = region.installation
    salts = Salts.kept_in(installation.home.salts)
    for fault in check_stores(installation.engines, salts, region.clock.now()).faults:
        yield f"G7: region {region.name}: {fault}"


def _of_receipts(asking: Region, home: Region) -> Iterator[str]:
    """Every receipt that was kept is signed, and its leaf is the one that was logged."""
    key = home.log_key(LogId.USAGE)
    with reading(home.installation.engines.records) as connection:
        logged = {
            row.usage_index: bytes(row.leaf_hash)
            for row in connection.execute(
                select(USAGE.c.usage_index, USAGE.c.leaf_hash).where(
                    USAGE.c.operator_id == _OPERATOR
                )
            )
        }
    with reading(asking.installation.engines.records) as connection:
        receipts = connection.execute(
            select(REGION_ANSWERS.c.receipt, REGION_ANSWERS.c.region_request_id).where(
                REGION_ANSWERS.c.region == home.issuer
            )
        ).all()
    for receipt, request_id in receipts:
        promised = UsageReceipt.FromString(receipt)
        place = verified(promised, key).usage_index
        if logged.get(place) != leaf_hash(promised.leaf):
            yield f"G7: {request_id}: the receipt's leaf is not the one that {home.name} logged"
