"""What the conventional stack starts from: the same records, licence and prices."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import insert
from sqlalchemy.orm import Session

from benchmarks.servers.conventional.access import AUDIENCE, ISSUER, SCOPE
from benchmarks.servers.conventional.app import open_engine
from benchmarks.servers.conventional.models import (
    Base,
    CatalogueItem,
    Client,
    Licence,
    Operator,
    Record,
    ScopeGrant,
)
from benchmarks.shape import ITEM, PERIOD_SECONDS, REGION, Shape, admitted_records

_OPERATOR: Final = "bench"
_CLIENT: Final = "bench-client"
_TOKEN_SECONDS: Final = 86_400
_ROWS_AT_ONCE: Final = 5_000


def fill(folder: Path, shape: Shape) -> str:
    """Write the store and the verification key into ``folder``; return an access token."""
    now = int(time.time())
    engine = open_engine(folder / "conventional.db")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(_authority(now))
        session.flush()
        for rows in _rows(shape, now - 60):
            session.execute(insert(Record), rows)
        session.commit()
    engine.dispose()
    key = ec.generate_private_key(ec.SECP256R1())
    algorithm = jwt.get_algorithm_by_name("ES256")
    (folder / "jwk.json").write_text(
        json.dumps(algorithm.to_jwk(key.public_key(), as_dict=True)), encoding="utf-8"
    )
    return jwt.encode(_claims(now), key, "ES256", headers={"typ": "at+jwt"})


def _authority(now: int) -> list[Base]:
    period = {"valid_from": now - 60, "valid_until": now + PERIOD_SECONDS}
    return [
        Operator(id=_OPERATOR, active=True),
        Client(id=_CLIENT, operator_id=_OPERATOR, removed=False),
        Licence(
            number="BENCH-1",
            operator_id=_OPERATOR,
            revoked=False,
            items=[ITEM],
            purposes=["CREDIT_APPROVAL"],
            regions=[REGION],
            daily_record_quota=10**12,
            **period,
        ),
        ScopeGrant(id="bench-1", operator_id=_OPERATOR, scope=SCOPE, withdrawn=False, **period),
        CatalogueItem(code=ITEM, openness="PUBLIC", unit_price=50_000),
    ]


def _rows(shape: Shape, disclosed_from: int) -> Iterator[list[dict[str, object]]]:
    rows: list[dict[str, object]] = []
    for admitted in admitted_records(shape, disclosed_from):
        rows.append(
            {
                "name": f"records/{admitted.record_id}",
                "revision": 1,
                "subject": admitted.subject,
                "item_code": admitted.item,
                "source": admitted.source,
                "region": admitted.region,
                "severity": "GENERAL",
                "content": admitted.content.decode(),
                "content_digest": admitted.digest.hex(),
                "disclosed_from": admitted.disclosed_from,
                "disclosed_until": admitted.disclosed_until,
                "live": True,
            }
        )
        if len(rows) == _ROWS_AT_ONCE:
            yield rows
            rows = []
    if rows:
        yield rows


def _claims(now: int) -> dict[str, object]:
    return {
        "iss": ISSUER,
        "sub": _CLIENT,
        "aud": AUDIENCE,
        "client_id": _CLIENT,
        "scope": SCOPE,
        "iat": now,
        "exp": now + _TOKEN_SECONDS,
        "jti": "bench-token",
        "cnf": {"x5t#S256": "A" * 43},
    }
