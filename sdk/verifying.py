"""``creditgate-verify``: what a gateway said, verified offline by keys that were pinned.

It asks nothing of anybody and needs no more of the distribution than is installed without
extras. What it found goes to standard output as one line of JSON; exit status 1 tells that
something proves nothing, 2 that it was called otherwise than it can be.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from creditgate.clearing_entries import Version
from creditgate.transparency.cosignatures import (
    CosignerKey,
    WitnessPolicy,
    majority,
    verify_witnessed,
)
from creditgate.transparency.linked import LinkedKeys, signing
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.statement_evidence import (
    is_about_statement,
    verify_statement_evidence,
)
from creditgate.transparency.usage import verify_served
from creditgate.transparency.usage_evidence import verify_evidence
from creditgate.transparency.verify import answer_of
from creditgate.v1.clearing_service_pb2 import ClearingStand
from creditgate.v1.usage_evidence_pb2 import UsageEvidenceKind
from creditgate.v1.usage_log_pb2 import UsageLeaf
from sdk.answers import KeptAnswer
from sdk.certificates import (
    certificate_issuer,
    certified_checkpoint,
    verified_certificate,
    verified_certificate_status,
)
from sdk.clearings import ProvedUse, read_clearing, read_region_keys, supported, uses_in
from sdk.documents import (
    STATUS_SECONDS,
    DocumentRefused,
    KeysUnavailable,
    read_keys,
)
from sdk.reports import issuer_named, verified_report, verified_status
from sdk.usage_agreements import agreed_by

_REFUSED: Final = 1
_MOST_FAULTS: Final = 20
_Found = dict[str, Any]
_Verify = Callable[[argparse.Namespace, int], _Found]


class _Fallen(Exception):
    """What was verified does not hold any more; the message says why."""


def main(arguments: Sequence[str] | None = None, now: Callable[[], float] = time.time) -> int:
    """Verify what the command line names and return the exit status; ``now`` gives the time,
    seconds since 1970, UTC."""
    asked = _parser().parse_args(arguments)
    try:
        if "succession" in asked:
            notes = [each.read_text("utf-8", "replace") for each in asked.succession or ()]
            asked.key = LinkedKeys.of(asked.key, notes)
        verify: _Verify = asked.verify
        found = verify(asked, int(now()))
    except (ProofInvalid, DocumentRefused, KeysUnavailable, _Fallen, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return _REFUSED
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    return 0


def _answer(asked: argparse.Namespace, now: int) -> _Found:
    found = KeptAnswer.read(asked.file, asked.request).verified(asked.key)
    about = [each.subject for each in found.subjects] or [each.subject for each in found.records]
    if asked.subject and set(asked.subject) != set(about):
        raise _Fallen("The answer verifies, but it is about another subject.")
    head, served_at = found.head, found.receipt.serve_time.seconds
    return {
        "complete": found.complete,
        "request_checked": found.request is not None,
        "records": [each.name for each in found.records],
        "subjects": sorted(set(about)),
        "proved": [
            {
                "subject": each.subject,
                "items": list(each.items),
                "all_public": each.all_public,
                "withheld": dict(each.withheld),
            }
            for each in found.subjects
        ],
        "complete_on_the_gateways_word": [
            {"subject": subject, "item": item} for subject, item in found.complete_on_word()
        ],
        "served_at": served_at,
        "age_seconds": now - served_at,
        "map": None
        if head is None
        else {"event_sequence": head.event_sequence, "since": head.since, "until": head.until},
        "decision": found.receipt.decision_id,
        "checkpoint": {"origin": found.checkpoint.origin, "size": found.checkpoint.size},
    }


def _use(asked: argparse.Namespace, _: int) -> _Found:
    parts = [answer_of(part) for part in KeptAnswer.read(asked.file).parts]
    return _charged(verify_served(parts, asked.key))


def _evidence(asked: argparse.Namespace, _: int) -> _Found:
    evidence = asked.file.read_bytes()
    if is_about_statement(evidence):
        return _statement(evidence, asked.key)
    found = verify_evidence(evidence, asked.key)
    agreed = agreed_by(found)
    return {
        "kind": UsageEvidenceKind.Name(found.kind).removeprefix("USAGE_EVIDENCE_KIND_").lower(),
        "convicts": found.convicts,
        "overcharge_micro_yuan": found.overcharge,
        **_charged(found.leaf),
        "agreed": None if agreed is None else agreed._asdict(),
    }


def _statement(evidence: bytes, key: LinkedKeys) -> _Found:
    found = verify_statement_evidence(evidence, key)
    lines = ", ".join(dict.fromkeys(fault.where for fault in found.faults[:_MOST_FAULTS]))
    verdict = f"OVERCHARGED BY {found.overcharge} micro-yuan" if found.overcharge else "WRONG"
    return {
        "kind": "statement",
        "convicts": True,
        "verdict": f"{verdict} on {lines}",
        "operator": found.operator_id,
        "month": found.month,
        "closed": found.closed,
        "due_micro_yuan": found.due,
        "overcharge_micro_yuan": found.overcharge,
        "faults": [fault._asdict() for fault in found.faults],
        "unchecked": list(found.unchecked),
    }


def _charged(leaf: UsageLeaf) -> _Found:
    return {
        "operator": leaf.operator_id,
        "usage_index": leaf.usage_index,
        "request_id": leaf.request_id,
        "fee_micro_yuan": leaf.fee_micro_yuan,
    }


def _checkpoint(asked: argparse.Namespace, now: int) -> _Found:
    note = asked.file.read_text(encoding="utf-8", errors="replace")
    witnesses = tuple(asked.witness or ())
    usual = majority(len(witnesses)) if witnesses else 0
    try:
        policy = WitnessPolicy(witnesses, usual if asked.quorum is None else asked.quorum)
    except ValueError as error:
        raise _Fallen(f"The policy cannot be kept: {error}.") from None
    found = verify_witnessed(note, signing(note, asked.key), policy, now)
    checkpoint = found.checkpoint
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "cosigned": {str(key): at for key, at in found.cosigned.items()},
        "quorum": policy.quorum,
    }


def _certificate(asked: argparse.Namespace, now: int) -> _Found:
    text, keys = _text(asked.file), read_keys(asked.keys.read_bytes())
    issuer = asked.issuer or certificate_issuer(text, asked.key.chain[0])
    signed = verified_certificate(text, keys, issuer, now)
    checkpoint = certified_checkpoint(signed.document, asked.key)
    found = {
        "certificate": signed.document.as_json(),
        "key_retired": signed.key_retired,
        "checkpoint": {"origin": checkpoint.origin, "size": checkpoint.size},
    }
    if asked.status is None:
        return found | {"status": None}
    told = verified_certificate_status(
        _text(asked.status), text, keys, issuer, now, asked.freshness
    )
    if told.state != "valid":
        raise _Fallen(f"The certificate does not hold any more: {told.state}.")
    return found | {"status": told.as_json()}


def _report(asked: argparse.Namespace, now: int) -> _Found:
    text, keys = _text(asked.file), read_keys(asked.keys.read_bytes())
    issuer = asked.issuer or issuer_named(text, asked.key.chain[0])
    verified = verified_report(text, keys, issuer, asked.key)
    told = None
    if asked.status is not None:
        told = verified_status(_text(asked.status), text, keys, issuer, now, asked.freshness)
        if told.state != "CURRENT":
            raise _Fallen(f"The report does not hold any more: {told.state.lower()}.")
    if not verified.holds_at(now):
        raise _Fallen("The report is the gateway's, but it is not valid any more.")
    return {
        "report": verified.report.as_json(),
        "complete_on_the_gateways_word": list(verified.complete_on_word),
        "key_retired": verified.signed.key_retired,
        "checkpoint": {
            "origin": verified.proved.head.checkpoint.origin,
            "size": verified.proved.head.checkpoint.size,
        },
        "status": None if told is None else told.as_json(),
    }


def _clearing(asked: argparse.Namespace, _: int) -> _Found:
    kept = read_clearing(asked.file.read_bytes())
    clearing = kept.verified(read_region_keys(asked.keys.read_bytes()))
    usage_keys: dict[str, list[VerifierKey]] = defaultdict(list)
    for region, key in asked.usage_key or ():
        usage_keys[region].append(key)
    kept.verify_disputes(clearing)
    uses: dict[tuple[str, int], list[ProvedUse]] = defaultdict(list)
    for use in uses_in(kept.evidence, usage_keys):
        uses[use.leaf.request_id, use.leaf.chunk].append(use)
    return {
        "regions": [clearing.iss, clearing.other],
        "until": clearing.until,
        "entries": clearing.entries,
        "due_micro_yuan": {each: clearing.due_to(each) for each in (clearing.iss, clearing.other)},
        "disputes": [
            {
                "dispute": each.dispute_id,
                "kind": each.kind,
                **each.answer._asdict(),
                "home_version": _version(each.home),
                "asking_version": _version(each.asking),
                "supported": ClearingStand.Name(
                    supported(each.home, each.asking, uses[each.answer[2:]])
                )
                .removeprefix("CLEARING_STAND_")
                .lower(),
            }
            for each in kept.disputes
        ],
    }


def _version(version: Version | None) -> _Found | None:
    if version is None:
        return None
    return {
        "entries": version.entries,
        "fee_micro_yuan": version.fee,
        "lines": [line._asdict() for line in version.lines],
        "digest": version.digest(),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "creditgate-verify", description=(__doc__ or "").split("\n")[0]
    )
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    answer = _of(kinds, "answer", "A saved answer with its proof.", _answer)
    answer.add_argument("--request", type=Path, help="The request; else FILE.request if there.")
    answer.add_argument("--subject", action="append", help="Whom it must be about; repeatable.")
    _of(kinds, "use", "What a saved answer was charged, by its receipt.", _use)
    _of(kinds, "evidence", "Evidence of a use, or against a charge or a statement.", _evidence)
    checkpoint = _of(
        kinds, "checkpoint", "A checkpoint of a log, and its cosignatures (C2SP).", _checkpoint
    )
    checkpoint.add_argument(
        "--witness",
        type=CosignerKey.parse,
        action="append",
        metavar="VKEY",
        help="Key of a witness; repeatable.",
    )
    checkpoint.add_argument(
        "--quorum", type=_count, help="How many of them must have cosigned; else more than half."
    )
    clearing = kinds.add_parser(
        "clearing", help="A clearing between two regions.", description="A clearing, kept."
    )
    clearing.add_argument("file", type=Path, metavar="FILE")
    clearing.add_argument(
        "--keys",
        type=Path,
        required=True,
        help="The regions' document keys: JSON of JWK Sets by entity identifier.",
    )
    clearing.add_argument(
        "--usage-key",
        type=_region_key,
        action="append",
        metavar="REGION=VKEY",
        help="Key of a region's receipts, to judge by what was asked of it; repeatable.",
    )
    clearing.set_defaults(verify=_clearing)
    for name, words, verify in (
        ("certificate", "A certificate of conformance.", _certificate),
        ("report", "A special credit report.", _report),
    ):
        signed = _of(kinds, name, words, verify)
        signed.add_argument("--keys", type=Path, required=True, help="The gateway's JWK Set, kept.")
        signed.add_argument("--issuer", help="Who must have signed it; else whose log --key is of.")
        signed.add_argument("--status", type=Path, help="A signed status, kept.")
        signed.add_argument(
            "--freshness", type=_seconds, default=STATUS_SECONDS, help="Oldest status, in seconds."
        )
    return parser


def _of(kinds: Any, name: str, words: str, verify: _Verify) -> argparse.ArgumentParser:
    """Return the parser of one kind of thing to verify."""
    parser: argparse.ArgumentParser = kinds.add_parser(name, help=words, description=words)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--key", type=VerifierKey.parse, required=True, metavar="VKEY", help="Key of the log."
    )
    parser.add_argument(
        "--succession",
        type=Path,
        action="append",
        metavar="NOTE",
        help="A note by which the key, or one behind it, names the next; repeatable.",
    )
    parser.set_defaults(verify=verify)
    return parser


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:10]) == int(text):
        raise ValueError(text)
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:4]) == int(text):
        raise ValueError(text)
    return int(text)


def _region_key(text: str) -> tuple[str, VerifierKey]:
    """Return a region's entity identifier and the key of its receipts. Raises ValueError."""
    region, separator, key = text.partition("=")
    if not separator or not region:
        raise ValueError(text)
    return region, VerifierKey.parse(key)


def _text(file: Path) -> str:
    return file.read_text(encoding="ascii", errors="replace").strip()
