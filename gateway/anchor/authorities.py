"""What an anchor lets an entity have as its authorities: none that could be taken for another's.

Regions take the authorities of all others into one store, in which an issuer is looked up by
name: of two that are alike in that, the anchor states one.
"""

from gateway.anchor.register import NotPossible, Register
from gateway.federation.trust.authorities import Authority, read_authorities


def require_clear_authorities(register: Register, entity_id: str, roots: str) -> None:
    """Check that authorities (PEM) can be read, and are not named as those of another entity that
    is enrolled. Raises NotPossible."""
    try:
        theirs = read_authorities(roots)
    except ValueError as error:
        raise NotPossible(f"Its authorities cannot be read: {error}.") from None
    for other, enrolment in register.regions.items():
        if other != entity_id and any(
            each.may_hide(known) for known in _read(enrolment.tls_roots) for each in theirs
        ):
            raise NotPossible(
                f"An authority of it is named as one of {other} and is not the same: it needs a"
                " name, or a subject key identifier, of its own."
            )


def _read(roots: str) -> tuple[Authority, ...]:
    try:
        return read_authorities(roots)
    except ValueError:
        # Enrolled before this was looked at: regions leave it out.
        return ()
