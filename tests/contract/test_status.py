"""docs/status.md names every method of the contract once."""

from pathlib import Path

import pytest

from creditgate.scopes import services
from tests.contract.status import documented_status


def test_status_page_names_every_method_and_no_other() -> None:
    methods = {
        f"{service.name}/{method.name}" for service in services() for method in service.methods
    }
    assert set(documented_status()) == methods


def test_status_page_tells_served_from_later() -> None:
    states = documented_status()
    assert states["CreditRecordService/GetSubjectRecords"]
    assert not states["FederationService/AgreeClearing"]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param("| `A/B` | maybe |", id="unknown state"),
        pytest.param("| `A/B` | served |\n| `A/B` | later |", id="named twice"),
        pytest.param("| `A` | served |", id="no method"),
    ],
)
def test_a_row_that_cannot_be_used_is_an_error(rows: str, tmp_path: Path) -> None:
    page = tmp_path / "status.md"
    page.write_text(rows, encoding="utf-8")
    with pytest.raises(ValueError, match=r"status\.md"):
        documented_status(page)
