"""Tables of what clearings say beyond list prices: their lines, ceilings to what is accepted, and
plans that charge for time."""

from typing import Final

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, String, Table, Text

METADATA: Final = MetaData()

# One row is a line of a clearing with ``region`` whose period ends at ``until``: what the use of a
# month comes to by the statement of ``home``, of what both agreed on so far. What is due by it is
# rated less listed less before, micro-yuan; nothing where ``refused`` says why the line was not
# signed. ``told`` is the serialised ClearingRating.
AMOUNTS: Final = Table(
    "clearing_amounts",
    METADATA,
    Column("region", String(255), primary_key=True),
    Column("until", BigInteger, primary_key=True, autoincrement=False),
    Column("home", String(255), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("entries", BigInteger, nullable=False),
    Column("listed", BigInteger, nullable=False),
    Column("rated", BigInteger, nullable=False),
    Column("before", BigInteger, nullable=False),
    Column("refused", Text, nullable=False),
    Column("told", LargeBinary, nullable=False),
)

# Above what this region signs nothing with another, as administrators said: micro-yuan for a record
# of it, and for a month; null for no ceiling.
CEILINGS: Final = Table(
    "clearing_ceilings",
    METADATA,
    Column("region", String(255), primary_key=True),
    Column("record", BigInteger),
    Column("month", BigInteger),
    Column("set_by", String(255), nullable=False),
    Column("set_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

# Plans by which another region charges for time (a flat fee or a minimum), since it first told of
# each: people were told then. ``plan`` is the SHA-256 of the serialised PricePlan, ``amount`` what it
# charges by the month, micro-yuan; times in seconds, UTC.
TIME_PLANS: Final = Table(
    "clearing_time_plans",
    METADATA,
    Column("region", String(255), primary_key=True),
    Column("plan", String(64), primary_key=True),
    Column("plan_id", String(64), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("effective_from", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)
