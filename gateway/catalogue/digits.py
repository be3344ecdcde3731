"""How digits of a number are grouped in free text, and where the number ends; for patterns over
plain characters, see `personal`."""

from typing import Final

GAP: Final = r"(?: ?[.·/_-] ?| {1,2})"
# A number inside a longer one, a sum with decimals or a hyphenated identifier is another.
BEFORE: Final = r"(?<![0-9A-Za-z_])(?<![0-9]\.)(?<![0-9A-Za-z]-)"
AFTER: Final = r"(?![0-9A-Za-z_])(?!\.[0-9])(?!-[0-9A-Za-z])"
