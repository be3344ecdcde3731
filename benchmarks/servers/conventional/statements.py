"""The statements of a call, built once: building them anew costs as much as running them."""

from typing import Final

from sqlalchemy import bindparam, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from benchmarks.servers.conventional.access import SCOPE
from benchmarks.servers.conventional.models import (
    CatalogueItem,
    Client,
    Licence,
    Operator,
    QuotaUse,
    Record,
    ScopeGrant,
    UsageAnswer,
    UsageEntry,
)

_NOW: Final = bindparam("now")

LICENCE: Final = (
    select(
        Licence.number,
        Licence.operator_id,
        Licence.items,
        Licence.purposes,
        Licence.regions,
        Licence.daily_record_quota,
    )
    .join(Operator, Operator.id == Licence.operator_id)
    .join(Client, Client.operator_id == Operator.id)
    .join(ScopeGrant, ScopeGrant.operator_id == Operator.id)
    .where(
        Client.id == bindparam("client_id"),
        Client.removed.is_(False),
        Operator.active.is_(True),
        Licence.revoked.is_(False),
        Licence.valid_from <= _NOW,
        Licence.valid_until > _NOW,
        ScopeGrant.scope == SCOPE,
        ScopeGrant.withdrawn.is_(False),
        ScopeGrant.valid_from <= _NOW,
        ScopeGrant.valid_until > _NOW,
    )
    .limit(1)
)
"""The licence in force of an active client whose operator holds the scope."""

DISCLOSED: Final = (
    select(
        Record.id,
        Record.name,
        Record.revision,
        Record.subject,
        Record.item_code,
        Record.source,
        Record.region,
        Record.severity,
        Record.content,
        Record.content_digest,
        Record.disclosed_from,
        Record.disclosed_until,
        CatalogueItem.unit_price,
    )
    .join(CatalogueItem, CatalogueItem.code == Record.item_code)
    .where(
        Record.subject == bindparam("subject"),
        Record.live.is_(True),
        Record.disclosed_from <= _NOW,
        Record.disclosed_until > _NOW,
        Record.item_code.in_(bindparam("items", expanding=True)),
        Record.region.in_(bindparam("regions", expanding=True)),
        CatalogueItem.openness == "PUBLIC",
    )
    .order_by(Record.id)
)
"""A subject's records that may be served, each with its price."""

EARLIER: Final = select(UsageAnswer.decision_id, UsageAnswer.subject).where(
    UsageAnswer.operator_id == bindparam("operator_id"),
    UsageAnswer.request_id == bindparam("request_id"),
)
"""The answer a request id stands for."""

ANSWER: Final = insert(UsageAnswer).returning(UsageAnswer.id)
ENTRIES: Final = insert(UsageEntry)

_quota: Final = upsert(QuotaUse)
QUOTA: Final = _quota.on_conflict_do_update(
    index_elements=[QuotaUse.operator_id, QuotaUse.day],
    set_={QuotaUse.used: QuotaUse.used + _quota.excluded.used},
).returning(QuotaUse.used)
"""Adds to what an operator was served on a day."""
