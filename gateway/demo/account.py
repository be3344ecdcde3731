"""The account of a demo: each thing that happened, beside what should have happened."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.cli.output import Sheet


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done: ``who`` did ``what``; it went well if ``observed`` is ``expected``."""

    who: str
    what: str
    expected: str
    observed: str

    @property
    def ok(self) -> bool:
        """Whether it went as it should."""
        return self.expected == self.observed


@dataclass(frozen=True, slots=True)
class Section:
    """Steps that belong together, and what tables go with them."""

    title: str
    steps: tuple[Step, ...]
    sheets: tuple[Sheet, ...] = ()

    def sheet(self) -> Sheet:
        """Return the steps as a table."""
        return Sheet(
            self.title,
            ("", "who", "what", "outcome"),
            [(_mark(step), step.who, step.what, _outcome(step)) for step in self.steps],
        )


@dataclass(slots=True)
class Account:
    """Sections as they come; ``told`` is called with each, to show it at once."""

    told: Callable[[Section], None]
    sections: list[Section] = field(default_factory=list[Section])

    def tell(self, section: Section) -> None:
        """Add a section."""
        self.sections.append(section)
        self.told(section)

    @property
    def ok(self) -> bool:
        """Whether everything went as it should."""
        return all(step.ok for section in self.sections for step in section.steps)

    def as_document(self) -> list[dict[str, object]]:
        """Return the steps as JSON values."""
        return [
            {
                "section": section.title,
                "who": step.who,
                "what": step.what,
                "expected": step.expected,
                "observed": step.observed,
                "ok": step.ok,
            }
            for section in self.sections
            for step in section.steps
        ]


def _mark(step: Step) -> str:
    return "ok" if step.ok else "FAILED"


def _outcome(step: Step) -> str:
    return step.observed if step.ok else f"{step.observed}, but {step.expected} was expected"
