"""Tables of the conventional stack, as SQLAlchemy ORM models."""

from typing import ClassVar

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All models."""

    type_annotation_map: ClassVar = {list[str]: JSON}


class Operator(Base):
    """A licensed firm."""

    __tablename__ = "operators"

    id: Mapped[str] = mapped_column(primary_key=True)
    active: Mapped[bool]


class Client(Base):
    """A program of an operator."""

    __tablename__ = "clients"

    id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[str] = mapped_column(ForeignKey("operators.id"))
    removed: Mapped[bool]


class Licence(Base):
    """What an operator may ask for, why, where and when (seconds, UTC)."""

    __tablename__ = "licences"

    number: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[str] = mapped_column(ForeignKey("operators.id"), index=True)
    valid_from: Mapped[int]
    valid_until: Mapped[int]
    revoked: Mapped[bool]
    items: Mapped[list[str]]
    purposes: Mapped[list[str]]
    regions: Mapped[list[str]]
    daily_record_quota: Mapped[int]


class ScopeGrant(Base):
    """A scope granted to an operator."""

    __tablename__ = "scope_grants"

    id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[str] = mapped_column(ForeignKey("operators.id"), index=True)
    scope: Mapped[str]
    valid_from: Mapped[int]
    valid_until: Mapped[int]
    withdrawn: Mapped[bool]


class CatalogueItem(Base):
    """A kind of record, and what one costs in micro-yuan."""

    __tablename__ = "catalogue_items"

    code: Mapped[str] = mapped_column(primary_key=True)
    openness: Mapped[str]
    unit_price: Mapped[int]


class Record(Base):
    """A disclosed record."""

    __tablename__ = "records"
    __table_args__ = (Index("ix_records_subject", "subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    revision: Mapped[int]
    subject: Mapped[str]
    item_code: Mapped[str] = mapped_column(ForeignKey("catalogue_items.code"))
    source: Mapped[str]
    region: Mapped[str]
    severity: Mapped[str]
    content: Mapped[str]
    content_digest: Mapped[str]
    disclosed_from: Mapped[int]
    disclosed_until: Mapped[int]
    live: Mapped[bool]


class UsageAnswer(Base):
    """One answer given, known by the caller's request id."""

    __tablename__ = "usage_answers"
    __table_args__ = (UniqueConstraint("operator_id", "request_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    operator_id: Mapped[str]
    client_id: Mapped[str]
    request_id: Mapped[str]
    subject: Mapped[str]
    licence: Mapped[str]
    purpose: Mapped[str]
    decision_id: Mapped[str]
    served_at: Mapped[int]
    fee: Mapped[int]


class UsageEntry(Base):
    """One record served in an answer."""

    __tablename__ = "usage_entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    answer_id: Mapped[int] = mapped_column(ForeignKey("usage_answers.id"), index=True)
    record_id: Mapped[int]
    unit_price: Mapped[int]


class QuotaUse(Base):
    """Records served to an operator on one UTC day."""

    __tablename__ = "quota_use"

    operator_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True)
    used: Mapped[int]
