"""Uses, evidence about them and differences as people read them on the command line."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from creditgate.v1.usage_evidence_pb2 import UsageEvidenceKind
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf
from gateway.cli.output import Sheet, as_dict, console, several, show_sheet, utc_seconds, yuan
from gateway.cli.terms import show_purpose

if TYPE_CHECKING:
    from creditgate.rating.checking import StatementChecked
    from creditgate.transparency.usage_charges import Difference
    from creditgate.transparency.usage_evidence import VerifiedEvidence
    from sdk.usage_agreements import Agreed

_MOST_FAULTS: Final = 100
_PREFIX: Final = "USAGE_EVIDENCE_KIND_"
_MEANING: Final = {
    "use": "the gateway states this use",
    "conflict": "the gateway signed two uses for one place; the second is charged",
    "twice": "one request is charged at two places",
    "miscounted": "more is charged than is counted",
    "unpromised": "a claim: the operator has no receipt of this charge",
}


def differences_sheet(differences: "Iterable[Difference]") -> Sheet:
    """Return where a log differs from receipts, one a row."""
    return Sheet(
        "Not as promised",
        ("place", "what", "yuan too much", "served", "request id"),
        [
            (
                str(each.usage_index),
                each.kind.value,
                yuan(each.overcharge),
                utc_seconds(use.serve_seconds),
                use.request_id,
            )
            for each in differences
            for use in (UsageLeaf.FromString(each.logged or each.promised),)
        ],
        frozenset({"place", "yuan too much"}),
    )


def use_sheet(leaf: UsageLeaf, size: int | None) -> Sheet:
    """Return a use; ``size`` is that of the log it was proved to be in, None for a receipt."""
    reversal = leaf.kind == UsageKind.USAGE_KIND_REVERSAL
    rows = (
        ("operator", leaf.operator_id),
        ("place", str(leaf.usage_index)),
        ("credits place", str(leaf.reversed_index) if reversal else ""),
        ("client", leaf.client_id),
        ("request id", leaf.request_id),
        ("chunk", str(leaf.chunk) if leaf.chunk else ""),
        ("served", utc_seconds(leaf.serve_seconds)),
        ("purpose", show_purpose(leaf.purpose)),
        ("licence", several(_licences(leaf))),
        ("consent", leaf.consent),
        ("decision", leaf.decision_id),
        ("records", several(f"{line.entries} of {line.item}" for line in leaf.lines)),
        ("yuan at list price", yuan(leaf.fee_micro_yuan)),
        ("shown by", "its receipt" if size is None else f"the log of {size} uses"),
    )
    return _block("The gateway signed for this use", rows)


def _licences(leaf: UsageLeaf) -> list[str]:
    """Return the licences of a use, of several with how many of its records each bears."""
    shares = [(each.licence, sum(each.entries)) for each in leaf.licences]
    return [f"{records} under {licence}" for licence, records in shares] or [leaf.licence]


def evidence_sheet(found: "VerifiedEvidence", agreed: "Agreed | None" = None) -> Sheet:
    """Return what evidence shows."""
    kind = _kind(found)
    rows = (
        ("shows", kind),
        ("meaning", _MEANING[kind]),
        ("convicts the gateway", "yes" if found.convicts else "no"),
        ("yuan too much", yuan(found.overcharge) if kind != "use" else ""),
        ("operator", found.leaf.operator_id),
        ("place", str(found.leaf.usage_index)),
        ("request id", found.leaf.request_id),
        ("served", utc_seconds(found.leaf.serve_seconds)),
        ("yuan charged", yuan(found.leaf.fee_micro_yuan)),
        (
            "agreed with by",
            "" if agreed is None else f"{agreed.client_id}, key {agreed.thumbprint}",
        ),
    )
    return _block("Evidence that holds", rows)


def evidence_document(
    found: "VerifiedEvidence", agreed: "Agreed | None" = None
) -> dict[str, object]:
    """Return what evidence shows, for scripts."""
    return {
        "kind": _kind(found),
        "convicts": found.convicts,
        "overcharge_micro_yuan": found.overcharge,
        "leaf": as_dict(found.leaf),
        "compared_with": None if found.other is None else as_dict(found.other),
        "agreed": None if agreed is None else agreed._asdict(),
    }


def checked_document(found: "StatementChecked") -> dict[str, object]:
    """Return what a statement was found to be, for scripts."""
    return {
        "operator_id": found.operator_id,
        "month": found.month,
        "closed": found.closed,
        "due_micro_yuan": found.due,
        "convicts": bool(found.faults),
        "overcharge_micro_yuan": found.overcharge,
        "faults": [fault._asdict() for fault in found.faults],
        "unchecked": list(found.unchecked),
    }


def show_checked(found: "StatementChecked") -> None:
    """Tell what a statement was found to be."""
    terminal = console()
    head = f"{found.operator_id}, {found.month}"
    if not found.faults:
        terminal.print(f"Statement of {head}: it is what the log and the plans give.")
    elif found.overcharge:
        told = f"OVERCHARGED BY {found.overcharge} micro-yuan ({yuan(found.overcharge)} yuan)"
        terminal.print(f"Statement of {head}: {told}.")
    else:
        terminal.print(f"Statement of {head}: it is not what the log and the plans give.")
    rows = [(*fault,) for fault in found.faults[:_MOST_FAULTS]]
    if left := len(found.faults) - len(rows):
        rows.append((f"… and {left} more; --json shows all", "", ""))
    show_sheet(Sheet("Not as it ought to be", ("what", "stated", "right"), rows), terminal)
    for each in found.unchecked:
        terminal.print(f"Not checked: {each}.")


def _kind(found: "VerifiedEvidence") -> str:
    return UsageEvidenceKind.Name(found.kind).removeprefix(_PREFIX).lower()


def _block(title: str, rows: Iterable[tuple[str, str]]) -> Sheet:
    told = [(name, cell) for name, cell in rows if cell]
    return Sheet(title, [name for name, _ in told], [[cell for _, cell in told]], blocks=True)
