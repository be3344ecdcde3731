"""Lines of clearings as they follow from what a home region told. Pure."""

from creditgate.clearing_amounts import AmountLine, basis_digest
from creditgate.v1.federation_service_pb2 import ClearingRating


def line_of(rating: ClearingRating) -> AmountLine:
    """Return the line that a rating makes. Raises pydantic's ValidationError."""
    rated, listed, before = (
        rating.rated_micro_yuan,
        rating.listed_micro_yuan,
        rating.before_micro_yuan,
    )
    return AmountLine(
        home=rating.home_region,
        month=rating.month,
        entries=rating.entries,
        listed=listed,
        rated=rated,
        before=before,
        amount=rated - listed - before,
        basis=basis_digest(rating.basis),
    )


def has_line(rating: ClearingRating) -> bool:
    """Tell whether there is anything due by a rating."""
    rated, listed = rating.rated_micro_yuan, rating.listed_micro_yuan
    return rated - listed != rating.before_micro_yuan


def is_basis_alone(rating: ClearingRating) -> bool:
    """Tell whether a rating tells by what a month is rated, and of no use."""
    return not (rating.entries or rating.before_micro_yuan or has_line(rating))
