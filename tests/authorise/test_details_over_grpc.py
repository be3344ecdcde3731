"""A token with authorization details, from the token endpoint to the records (RFC 9396)."""

import json
import ssl
import time
from typing import Any

import grpc
import httpx
import pytest

from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from sdk.refusals import explain
from tests.installation import PUBLIC_ITEM, PUBLISHER, PURPOSE, Gateway, Installation, company
from tests.parties import Party, enrolled
from tests.server.calls import draft, publish


async def token_for(gateway: Gateway, party: Party, details: list[dict[str, Any]]) -> str:
    """Return a token of these details."""
    tls = ssl.create_default_context(cafile=gateway.running.ca)
    tls.load_cert_chain(party.folder / "certificate.pem", party.folder / "key.pem")
    form = {
        "grant_type": "client_credentials",
        "scope": "credit.records:read",
        "authorization_details": json.dumps(details),
        **party.authentication(gateway.running.issuer, int(time.time())),
    }
    async with httpx.AsyncClient(verify=tls) as http:
        response = await http.post(f"{gateway.running.issuer}/oauth/token", data=form)
    assert response.status_code == 200, response.text
    token: str = response.json()["access_token"]
    return token


class Asking:
    """A client's own channel, and a token of the moment."""

    def __init__(self, gateway: Gateway, party: Party, token: str) -> None:
        assert gateway.running.ca is not None
        folder = party.folder
        self.channel = grpc.aio.secure_channel(
            gateway.running.grpc,
            grpc.ssl_channel_credentials(
                gateway.running.ca.read_bytes(),
                (folder / "key.pem").read_bytes(),
                (folder / "certificate.pem").read_bytes(),
            ),
        )
        self._stub = records_grpc.CreditRecordServiceStub(self.channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._asked = 0

    async def records(self, number: int, **fields: Any) -> list[str]:
        """Return the names of the records of an invented company."""
        self._asked += 1
        request = pb.GetSubjectRecordsRequest(
            subject=company(number),
            purpose=PURPOSE,
            request_id=f"details-{self._asked}",
            **fields,
        )
        answer = await self._stub.GetSubjectRecords(request, metadata=self._metadata)
        return [record.name for record in answer.records]

    async def refused(self, number: int, **fields: Any) -> str:
        """Return why a call is refused."""
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await self.records(number, **fields)
        return explain(error.value).reason


async def test_a_token_opens_what_its_details_cover_and_nothing_else(
    installation: Installation,
) -> None:
    party = enrolled(installation, "alpha-two")
    details = [
        {"type": "public_credit_data", "subjects": [company(1)], "items": [PUBLIC_ITEM]},
        {"type": "public_credit_data", "subjects": [company(3)], "regions": ["31"]},
    ]
    async with installation.running() as gateway:
        async with gateway.channel(PUBLISHER) as publishing:
            await publish(publishing, [draft(f"r-{n}", company(n)) for n in (1, 2, 3)])
        asking = Asking(gateway, party, await token_for(gateway, party, details))
        async with asking.channel:
            assert await asking.records(1) == ["records/r-1"]
            assert await asking.records(3) == []
            assert await asking.refused(2) == "SUBJECT_NOT_ALLOWED"
            assert await asking.refused(4) == "SUBJECT_NOT_ALLOWED"
            assert await asking.refused(1, items=["tax"]) == "ITEM_NOT_ALLOWED"


async def test_the_largest_details_pass_the_metadata_of_a_call(embedded: Installation) -> None:
    party = enrolled(embedded, "alpha-two")
    subjects = [company(number) for number in range(256)]
    details = [{"type": "public_credit_data", "subjects": subjects}]
    async with embedded.running() as gateway:
        asking = Asking(gateway, party, await token_for(gateway, party, details))
        async with asking.channel:
            assert await asking.records(255) == []
            assert await asking.refused(256) == "SUBJECT_NOT_ALLOWED"
