"""Item mappings (目录映射): which catalogue item of another region stands for which of one's own.

Pure. A mapping stands in the authority log, one for each region, and each change makes another
version; what is not mapped is not asked for.
Source: Opinions on improving the social credit system (2025-03-31), article 6 (catalogues).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from operators import shapes
from operators.kept import Kept
from operators.regions import EntityId, region_client_id

ITEM_MAPPING: Final = "item_mapping"
MOST_PAIRS: Final = 1_000

_ItemCode = Annotated[str, AfterValidator(shapes.item_code)]


class ItemMapping(Kept):
    """What stands for what in one region: ``items`` by item here, the item there.

    ``region`` is its entity identifier, ``catalogue_version`` the version of its catalogue that
    the pairs were made for.
    """

    region: EntityId
    items: Annotated[Mapping[_ItemCode, _ItemCode], Field(min_length=1, max_length=MOST_PAIRS)]
    catalogue_version: Annotated[
        str,
        AfterValidator(
            shapes.matching("[!-~]{1,64}", "use 1 to 64 visible ASCII characters, as it is told")
        ),
    ]

    @model_validator(mode="after")
    def _leads_back(self) -> "ItemMapping":
        # A record there must tell of one item here.
        if len(set(self.items.values())) != len(self.items):
            raise ValueError("no item of the region may stand for two")
        return self

    @property
    def id(self) -> str:
        """Its id in the authority log."""
        return region_client_id(self.region)


class Translation(NamedTuple):
    """Items asked for, as a region has them.

    ``pairs`` are item here and item there, in the order asked; ``unmapped`` the items without
    counterpart. ``version`` is that of the mapping, 0 where there is none.
    """

    pairs: tuple[tuple[str, str], ...]
    unmapped: tuple[str, ...]
    version: int


@dataclass(frozen=True, slots=True, eq=False)
class ItemMappings:
    """The mappings in force by region. It never changes; `advanced` makes the next one."""

    by_region: Mapping[str, ItemMapping] = field(default_factory=dict[str, ItemMapping])

    @property
    def by_id(self) -> Mapping[str, ItemMapping]:
        """The mappings by their ids in the authority log."""
        return {mapping.id: mapping for mapping in self.by_region.values()}

    def advanced(self, news: Mapping[str, ItemMapping]) -> "ItemMappings":
        """Return the mappings after ``news``, itself where there are none."""
        if not news:
            return self
        return ItemMappings({**self.by_region, **{each.region: each for each in news.values()}})

    def counterparts(self, region: str) -> Mapping[str, str]:
        """Return the item here that stands for each item of ``region``, by the latter's code."""
        mapping = self.by_region.get(region)
        return {there: here for here, there in mapping.items.items()} if mapping else {}

    def holds(self, region: str, pairs: Iterable[tuple[str, str]]) -> bool:
        """Tell whether each of ``pairs``, item here and item there, stands in ``region`` now."""
        mapping = self.by_region.get(region)
        known = mapping.items if mapping is not None else {}
        return all(known.get(here) == there for here, there in pairs)

    def translated(self, region: str, items: Iterable[str]) -> Translation:
        """Return ``items`` as ``region`` has them."""
        mapping = self.by_region.get(region)
        known = mapping.items if mapping is not None else {}
        asked = tuple(items)
        return Translation(
            tuple((item, known[item]) for item in asked if item in known),
            tuple(item for item in asked if item not in known),
            mapping.version if mapping is not None else 0,
        )
