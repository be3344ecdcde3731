"""What is disclosed while measuring: invented companies and records, all alike in size.

District 000000 is assigned to no place, so none of the codes is a real company's.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import product
from typing import Final

from creditgate.uscc import ALPHABET, check_character
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.catalogue.admission import Admitted

ITEM: Final = "administrative-penalty"
CONSENT_ITEM: Final = "credit-rating"
SOURCE: Final = "发明市市场监督管理局"
REGION: Final = "000000"
PERIOD_SECONDS: Final = 300 * 86_400
_ORGANISATION_CHARACTERS: Final = 9


@dataclass(frozen=True, slots=True)
class Shape:
    """How much is disclosed: ``subjects`` companies with ``records_each`` records of each
    item. ``consented``: also of an item that each of them consents to."""

    subjects: int
    records_each: int
    consented: bool = False

    @property
    def items(self) -> tuple[str, ...]:
        """Codes of the items disclosed."""
        return (ITEM, CONSENT_ITEM) if self.consented else (ITEM,)

    @property
    def records(self) -> int:
        """Number of records."""
        return self.subjects * self.records_each * len(self.items)

    @property
    def name(self) -> str:
        """Name of a folder that holds it."""
        return f"{self.subjects}x{self.records_each}" + ("-consented" if self.consented else "")

    def as_json(self) -> str:
        """Return what tells it from other shapes; changes when the records do."""
        sample = next(admitted_records(self, 0))
        return json.dumps({**asdict(self), "sample": sample.digest.hex()})


def subject_code(number: int) -> str:
    """Return the unified social credit code of invented company ``number``."""
    characters: list[str] = []
    for _ in range(_ORGANISATION_CHARACTERS):
        number, digit = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[digit])
    stem = f"91{REGION}{''.join(reversed(characters))}"
    return stem + check_character(stem)


def consent_id(number: int) -> str:
    """Return the id of the consent of invented company ``number``."""
    return f"{0:010x}-{number:024x}"


def admitted_records(shape: Shape, disclosed_from: int) -> Iterator[Admitted]:
    """Give every record of ``shape``, disclosed from ``disclosed_from`` (seconds, UTC) on.

    One subject's records lie far apart, as they do where many sources publish daily.
    """
    for item, turn in product(shape.items, range(shape.records_each)):
        for number in range(shape.subjects):
            content = _content(number, turn)
            yield Admitted(
                record_id=f"{item}-{number:08d}-{turn}",
                subject=subject_code(number),
                item=item,
                source=SOURCE,
                region=REGION,
                severity=Severity.SEVERITY_GENERAL,
                content=content,
                digest=sha256(content).digest(),
                disclosed_from=disclosed_from,
                disclosed_until=disclosed_from + PERIOD_SECONDS,
            )


def _content(number: int, turn: int) -> bytes:
    """Return content that makes a record of about 600 bytes as sent."""
    document = {
        "authority": SOURCE,
        "basis": "《发明市公共信用信息管理办法》第二十一条第三款",
        "document_number": f"发市监处罚〔2026〕{number:08d}{turn}号",
        "facts": "未按规定期限报送年度报告，经责令改正后逾期仍未改正，影响公示信息的完整。",
        "fine_yuan": 1_000 + number % 9_000,
        "measure": "罚款，并责令在三十日内补报年度报告",
        "name": f"发明企业第{number:08d}号有限公司",
    }
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
