"""What the command line shows of a use."""

from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageLicence
from gateway.cli.usage_sheets import use_sheet


def licence_of(leaf: UsageLeaf) -> str:
    """Return what is shown of a use's licence."""
    sheet = use_sheet(leaf, None)
    return dict(zip(sheet.columns, sheet.rows[0], strict=True))["licence"]


def test_of_several_licences_each_is_shown_with_what_it_bears() -> None:
    assert licence_of(UsageLeaf(licence="L-1")) == "L-1"
    shares = [
        UsageLicence(licence="L-2", entries=[3, 1]),
        UsageLicence(licence="L-1"),
    ]
    assert licence_of(UsageLeaf(licence="L-2", licences=shares)) == "4 under L-2, 0 under L-1"
