"""The invented people who can sign in at the development provider."""

from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.yaml_text import read_yaml
from operators import shapes


class Account(BaseModel):
    """One invented person; ``uscc`` is the company they act for, "" for none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: Annotated[str, AfterValidator(shapes.subject_identifier)]
    name: Annotated[str, AfterValidator(shapes.display_name)]
    title: Annotated[str, AfterValidator(shapes.display_name)]
    uscc: str = ""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    accounts: Annotated[tuple[Account, ...], Field(min_length=1)]


@cache
def invented_accounts() -> tuple[Account, ...]:
    """Return the people of accounts.yaml, in its order."""
    text = (files(__package__ or "") / "accounts.yaml").read_text(encoding="utf-8")
    return _File.model_validate(read_yaml(text)).accounts
