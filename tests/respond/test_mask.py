"""What a consent leaves of a record: its own bytes of the fields named, and nothing else."""

import json
from hashlib import sha256
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.disclose.frame import frame, unframe
from gateway.respond.mask import masked

NAMES = st.from_regex("[a-z][a-z0-9_]{0,8}", fullmatch=True)
# Text with all that could be taken for the end of a member.
TEXT = st.text(st.sampled_from('",:{}[]\\ \n信用\u2028a1'), max_size=12)
VALUES = TEXT | st.integers(-(2**53) + 1, 2**53 - 1) | st.booleans()


def canonical(members: dict[str, Any]) -> bytes:
    """Return RFC 8785 bytes, for the values content may have."""
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def record_of(content: bytes) -> DisclosedRecord:
    """Return a disclosed record with all its other fields set."""
    record = DisclosedRecord(
        name="records/r-1",
        revision=3,
        subject="91000000DEM000011A",
        item="evaluation.public-credit",
        source="s",
        region="110000",
        severity=Severity.SEVERITY_GENERAL,
        content=content,
        content_digest=sha256(content).digest(),
        event_sequence=7,
    )
    record.disclosed_from.seconds = 5
    record.disclosed_until.seconds = 9
    return record


@given(members=st.dictionaries(NAMES, VALUES, max_size=8), data=st.data())
def test_content_keeps_the_members_named_each_in_its_own_bytes(
    members: dict[str, Any], data: st.DataObject
) -> None:
    among = st.sampled_from(sorted(members)) | NAMES if members else NAMES
    names = tuple(sorted(data.draw(st.sets(among, max_size=6))))
    whole = record_of(canonical(members))
    left = unframe(masked(frame(whole), names))
    assert left.content == canonical({name: members[name] for name in members if name in names})
    assert left.content_digest == sha256(left.content).digest()
    assert tuple(left.served_fields) == names
    for field in ("content", "content_digest", "served_fields"):
        left.ClearField(field)
        whole.ClearField(field)
    assert left == whole


def test_values_are_not_written_anew() -> None:
    """Content published before a rule changed stands as it was disclosed."""
    stored = frame(record_of(b'{"a":1.50,"b":"\\u0041","c":[1,{"d":2}],"e":null}'))
    assert unframe(masked(stored, ("a", "b", "c"))).content == (
        b'{"a":1.50,"b":"\\u0041","c":[1,{"d":2}]}'
    )


def test_a_digest_tells_nothing_of_what_was_cut() -> None:
    one = masked(frame(record_of(b'{"grade":"A","score":90}')), ("grade",))
    other = masked(frame(record_of(b'{"grade":"A","score":10}')), ("grade",))
    assert one == other
