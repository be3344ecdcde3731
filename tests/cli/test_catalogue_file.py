"""A catalogue file is judged whole by the gateway before any of it is applied."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from creditgate.v1 import catalogue_service_pb2 as pb
from gateway.catalogue.file import read_catalogue_file
from gateway.cli import calls
from gateway.cli.catalogue_file import Outcome, apply_catalogue
from gateway.cli.failures import CommandFailed
from tests.cli.commands import Served

ADMINISTRATOR = "administrator"
WHY = ("--reason", "a test")


def item(code: str, price_class: str = "basic", name: str = "Test") -> str:
    """Return an item of a catalogue file, of nine lines."""
    return (
        f"  - code: {code}\n    name_zh: 测试\n    name_en: {name}\n    sources: [Bureau]\n"
        f"    subject_types: [ENTERPRISE]\n    openness: PUBLIC\n    price_class: {price_class}\n"
        "    period_rules: [{legal_source: none}]\n    content_fields: [{name: a, type: INTEGER}]\n"
    )


def written(folder: Path, *items: str) -> Path:
    """Write a catalogue file."""
    file = folder / "catalogue.yaml"
    file.write_text("items:\n" + "".join(items), encoding="utf-8")
    return file


def codes(served: Served) -> set[str]:
    """Return the codes of all items there are."""
    listed = served.answer(ADMINISTRATOR, "catalogue", "list")["items"]
    return {each["code"] for each in listed}


def test_a_file_of_which_the_gateway_refuses_items_is_not_applied_at_all(
    served: Served, tmp_path: Path
) -> None:
    before = codes(served)
    file = written(
        tmp_path, item("test.one"), item("test.two", "nosuch"), item("test.three", "neither")
    )
    done = served.run(ADMINISTRATOR, "catalogue", "apply", file, *WHY, "--json")
    assert done.status == 1
    assert codes(served) == before
    faults = done.json["error"]["faults"]
    assert [(fault["line"], fault["place"]) for fault in faults] == [
        (17, "items[1].price_class"),
        (26, "items[2].price_class"),
    ]
    assert "test.two" in faults[0]["mend"]
    assert "has no price for it" in faults[0]["mend"]


def test_what_the_gateway_refuses_of_the_caller_is_told_as_before(
    served: Served, tmp_path: Path
) -> None:
    apply = ("catalogue", "apply", written(tmp_path, item("test.one")), "--reason", "x" * 501)
    assert served.refusal(ADMINISTRATOR, *apply) == "INVALID_REQUEST"


class _Overtaken(calls.Gateway):
    """Another administrator changes ``overtaken`` once the last item has been validated."""

    overtaken: pb.CatalogueItem
    last: str

    async def ask(self, request: Any, *rest: Any, **more: Any) -> Any:
        answer = await super().ask(request, *rest, **more)
        if getattr(request, "validate_only", False) and request.item.code == self.last:
            change = pb.UpdateCatalogueItemRequest(item=self.overtaken, reason="another")
            await super().ask(change, pb.UpdateCatalogueItemResponse)
        return answer


def test_what_comes_in_between_is_told_with_its_line_and_what_was_applied(
    served: Served, tmp_path: Path
) -> None:
    apply = ("catalogue", "apply")
    two = (item("test.first"), item("test.second"))
    served.answer(ADMINISTRATOR, *apply, written(tmp_path, *two), *WHY)
    renamed = [item(code, name="Renamed") for code in ("test.first", "test.second")]
    file = read_catalogue_file(written(tmp_path, *renamed))

    async def work(gateway: calls.Gateway) -> None:
        overtaken = _Overtaken(gateway.channel)
        overtaken.last = "test.second"
        request = pb.GetCatalogueItemRequest(code="test.second")
        overtaken.overtaken = (await gateway.ask(request, pb.GetCatalogueItemResponse)).item
        overtaken.overtaken.name_en = "Another"
        await apply_catalogue(overtaken, file, "a test")

    with pytest.raises(CommandFailed) as failed:
        calls.with_gateway(served.profile(ADMINISTRATOR), work)
    assert "line 11: items[1]: ETAG_MISMATCH" in str(failed.value)
    assert "Applied before it: test.first;" in str(failed.value)
    again = partial(apply_catalogue, file=file, reason="a test")
    applied = calls.with_gateway(served.profile(ADMINISTRATOR), again)
    assert [each.outcome for each in applied] == [Outcome.UNCHANGED, Outcome.UPDATED]
