"""What listings are asked for is of a form that every store can look up."""

from collections.abc import Callable
from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import settlement_service_pb2 as pb
from gateway.settlement.request import closings_ask, journal_ask


@pytest.mark.parametrize("text", ["\0", "alpha\0"])
@pytest.mark.parametrize(
    ("ask", "request_type", "field"),
    [
        (closings_ask, pb.ListClosingsRequest, "operator_id"),
        (journal_ask, pb.ListJournalRequest, "operator_id"),
        (journal_ask, pb.ListJournalRequest, "account"),
    ],
)
def test_what_no_name_holds_is_told_by_its_field(
    ask: Callable[[Any], object], request_type: Callable[..., object], field: str, text: str
) -> None:
    with pytest.raises(Refused) as refused:
        ask(request_type(**{field: text}))
    assert [each.field for each in refused.value.violations] == [field]


def test_sources_have_accounts_by_their_own_names() -> None:
    asked = pb.ListJournalRequest(account="sources/国家　市场监督管理总局")
    assert journal_ask(asked).filters == ("", "", asked.account)
