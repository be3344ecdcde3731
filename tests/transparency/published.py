"""The vectors that are published in docs/vectors, for verifiers in any language.

``python -m tests.transparency.published`` writes them anew.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from creditgate.transparency import facts
from creditgate.transparency.answers import request_digest, signed_text
from creditgate.transparency.verify import VerifiedAnswer, verify_answer
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from tests.transparency.cosigned_vectors import cosigned
from tests.transparency.lies import LIES
from tests.transparency.proving import Disclosure
from tests.transparency.scenario import HONEST, Exchange, disclosure

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "vectors"


def answers() -> dict[str, Any]:
    """Return exchanges, some that verify and some that must not."""
    made = disclosure()
    return {
        "key": str(made.key.verifier),
        "answers": [
            *(_honest(made, name, build(made)) for name, build in HONEST.items()),
            *(_dishonest(made, name) for name in LIES),
        ],
    }


def hashes() -> list[dict[str, Any]]:
    """Return each hash of `creditgate.transparency.facts` and of signatures, of one input."""
    copy = facts.Copy("a-1", bytes(range(32)), 1_800_000_000, facts.NO_END)
    ending = copy._replace(disclosed_until=1_900_000_000)
    stated: dict[str, Any] = {
        "revision": 2,
        "event_sequence": 41,
        "source": "Invented Bureau",
        "region": "000000",
        "severity": 3,
    }
    particulars = facts.particulars_digest(**stated)
    salt, other = bytes([1]) * 32, bytes([2]) * 32
    return [
        _hash("copy_digest", facts.copy_digest(copy), copy=_named(copy)),
        _hash("copy_digest", facts.copy_digest(ending), copy=_named(ending)),
        _hash("particulars_digest", particulars, particulars=stated),
        _hash(
            "public_digest",
            facts.public_digest(copy, particulars),
            copy=_named(copy),
            particulars_digest=particulars.hex(),
        ),
        _hash(
            "field_digest",
            facts.field_digest(salt, "finding", '"迟报"'.encode()),
            salt=salt.hex(),
            field="finding",
            value='"迟报"',
        ),
        _hash(
            "content_commitment",
            facts.content_commitment(salt, copy.content_digest),
            salt=salt.hex(),
            content_digest=copy.content_digest.hex(),
        ),
        _hash(
            "protected_digest",
            facts.protected_digest(copy, particulars, salt, [other, salt]),
            copy=_named(copy),
            particulars_digest=particulars.hex(),
            commitment=salt.hex(),
            field_digests=[other.hex(), salt.hex()],
        ),
        _hash(
            "set_digest",
            facts.set_digest("fine", [other, salt]),
            item="fine",
            members=[other.hex(), salt.hex()],
        ),
        _hash(
            "public_value",
            facts.public_value([("honour", other), ("fine", salt)]),
            sets=[["honour", other.hex()], ["fine", salt.hex()]],
        ),
        _hash(
            "protected_value",
            facts.protected_value(salt, "91000000DEM000011A", other),
            salt=salt.hex(),
            subject="91000000DEM000011A",
            set_digest=other.hex(),
        ),
        _hash(
            "protected_items_digest",
            facts.protected_items_digest(["wages", "tax"]),
            items=["tax", "wages"],
        ),
        _hash(
            "protected_commitment",
            facts.protected_commitment(salt, other, 1_900_000_000),
            salt=salt.hex(),
            root=other.hex(),
            holds_until=1_900_000_000,
        ),
        _hash(
            "public_key",
            facts.public_key("91000000DEM000011A"),
            subject="91000000DEM000011A",
        ),
        _hash(
            "event_commitment",
            facts.event_commitment(salt, 2, 2, "91000000DEM000011A", "fine", other),
            salt=salt.hex(),
            kind=2,
            revision=2,
            subject="91000000DEM000011A",
            item="fine",
            member=other.hex(),
        ),
        _hash(
            "request_digest",
            request_digest("creditgate.v1.GetRecordRequest", b"\x0a\x0brecords/a-1"),
            message="creditgate.v1.GetRecordRequest",
            request=b"\x0a\x0brecords/a-1".hex(),
        ),
        _hash("signed_text", signed_text(3, other), size=3, root=other.hex()),
    ]


def files() -> Mapping[Path, str]:
    """Return what the files hold."""
    return {
        FOLDER / "answers.json": _text(answers()),
        FOLDER / "cosignatures.json": _text(cosigned()),
        FOLDER / "hashes.json": _text({"hashes": hashes()}),
    }


def verdict(verified: VerifiedAnswer) -> dict[str, Any]:
    """Return what a verifier tells of an answer."""
    return {
        "kind": ProofKind.Name(verified.kind).removeprefix("PROOF_KIND_"),
        "tree_size": verified.checkpoint.size,
        "records": [record.name for record in verified.records],
        "subjects": [
            {
                "subject": each.subject,
                "items": list(each.items),
                "all_public": each.all_public,
                "protected": sorted(each.protected),
            }
            for each in verified.subjects
        ],
    }


def _honest(made: Disclosure, name: str, exchange: Exchange) -> dict[str, Any]:
    parts = made.signed(exchange.request, *exchange.answers, place=1)
    sent = exchange.request.SerializeToString(deterministic=True)
    found = verdict(verify_answer(sent, parts, made.key.verifier))
    return {**_exchanged(name, sent, parts), "verifies": True, **found}


def _dishonest(made: Disclosure, name: str) -> dict[str, Any]:
    lie = LIES[name]
    exchange = lie.exchange(made)
    lie.change(exchange.answers[-1], made)
    parts = made.signed(exchange.request, *exchange.answers)
    sent = exchange.request.SerializeToString(deterministic=True)
    return {**_exchanged(name, sent, parts), "verifies": False, "reason": lie.reason}


def _exchanged(name: str, request: bytes, parts: Sequence[bytes]) -> dict[str, Any]:
    return {
        "name": name,
        "request": b64encode(request).decode(),
        "parts": [b64encode(part).decode() for part in parts],
    }


def _hash(name: str, digest: bytes, **inputs: object) -> dict[str, Any]:
    return {"hash": name, **inputs, "digest": digest.hex()}


def _named(fact: facts.Copy) -> dict[str, object]:
    return {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in fact._asdict().items()
    }


def _text(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
