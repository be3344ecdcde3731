"""What the conventional stack answers, as pydantic models."""

from pydantic import BaseModel, ConfigDict


class RecordOut(BaseModel):
    """A disclosed record."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    revision: int
    subject: str
    item_code: str
    source: str
    region: str
    severity: str
    content: str
    content_digest: str
    disclosed_from: int
    disclosed_until: int


class ReceiptOut(BaseModel):
    """What a use of records is known by afterwards."""

    decision_id: str
    serve_time: int
    usable_until: int
    charged_entries: int
    charged_micro_yuan: int
    replayed: bool


class AnswerOut(BaseModel):
    """One subject's records."""

    records: list[RecordOut]
    receipt: ReceiptOut
