"""How recognitions, their tables and what may go abroad are shown (互认与跨境)."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from creditgate.v1 import recognition_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli import terms
from gateway.cli.output import Sheet, several, utc_seconds

if TYPE_CHECKING:
    from creditgate.recognition import RecognitionPart, RecognitionStatement

_OUTCOME: Final = "RECOGNITION_OUTCOME_"


def stated_sheet(found: "RecognitionStatement") -> Sheet:
    """Show what a verified statement says of the whole document."""
    rows = (
        ("recognised by", found.iss),
        ("on", utc_seconds(found.iat)),
        ("from", found.region),
        ("about", found.subject),
        ("for", found.operator_id),
        ("purpose", terms.shown(found.purpose, "")),
        ("table", f"version {found.rule_version}"),
        ("country", found.destination),
        ("recipient", found.recipient),
    )
    return Sheet("Verified", ("what", "stated"), [row for row in rows if row[1]])


def parts_sheet(recognition: pb.Recognition) -> Sheet:
    """Show what became of each item of a document, as the gateway answers it."""
    parts = recognition.parts
    rows = [_part(each, pb.RecognitionOutcome.Name(each.outcome)) for each in parts]
    return _parts(recognition.name, recognition.expire_time.seconds, rows)


def stated_parts_sheet(found: "RecognitionStatement") -> Sheet:
    """Show what became of each item of a document, as a verified statement says it."""
    rows = [_part(each, each.outcome) for each in found.parts]
    return _parts(found.recognition, found.exp, rows)


def _parts(name: str, until: int, rows: Sequence[Sequence[str]]) -> Sheet:
    columns = ("their item", "outcome", "item", "record", "their grade", "grade", "records")
    return Sheet(f"{name}, until {utc_seconds(until)}", columns, rows, frozenset({"records"}))


def _part(part: "pb.RecognisedPart | RecognitionPart", outcome: str) -> Sequence[str]:
    return (
        part.region_item,
        terms.shown(outcome, _OUTCOME),
        part.item,
        part.record,
        part.region_grade,
        part.grade,
        str(part.records),
    )


def rules_sheet(rules: Iterable[pb.RecognitionRule]) -> Sheet:
    """Show mapping tables, a row for each item."""
    return Sheet(
        "Mapping tables",
        ("region", "their item", "item", "grades", "purposes", "version", "retired"),
        [
            (
                rule.region,
                each.region_item,
                each.item,
                several(f"{pair.region_grade}={pair.grade}" for pair in each.grades),
                _purposes(rule.purposes),
                str(rule.version),
                "yes" if rule.retired else "",
            )
            for rule in rules
            for each in rule.items
        ],
        frozenset({"version"}),
    )


def countries_sheet(profiles: Iterable[pb.CrossBorderProfile]) -> Sheet:
    """Show which items may go to which country."""
    return Sheet(
        "What may go to which country",
        ("country", "items", "purposes", "version", "retired"),
        [
            (
                each.destination,
                several(each.items),
                _purposes(each.purposes),
                str(each.version),
                "yes" if each.retired else "",
            )
            for each in profiles
        ],
        frozenset({"version"}),
    )


def _purposes(purposes: Iterable[Purpose.ValueType]) -> str:
    return several(map(terms.show_purpose, purposes))
