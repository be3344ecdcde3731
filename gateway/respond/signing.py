"""Signing answers that carry a proof: all that are ready in one turn, by one signature.

Source of the format: `creditgate.transparency.answers`.
"""

import asyncio
from typing import NamedTuple

from creditgate.transparency.answers import answer_leaf, signed_text
from creditgate.transparency.merkle import audit_path, levels_of
from creditgate.transparency.note import Signer
from creditgate.v1.disclosure_proof_pb2 import AnswerSignature
from gateway.disclose.frame import field


class _Waiting(NamedTuple):
    request_digest: bytes
    leaf: bytes
    done: "asyncio.Future[AnswerSignature]"


class AnswerSigner:
    """Signs answers with the key of the disclosure log; one event loop's own.

    A commit of the ledger answers many calls at once, so under load a call pays a share of
    one signature.
    """

    def __init__(self, key: Signer) -> None:
        self._key = key
        self._waiting: list[_Waiting] = []

    async def signed(self, request_digest: bytes, answer: bytes, number: int) -> bytes:
        """Return ``answer`` with its signature behind it, as the field of this number. Raises what
        the key raises."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._sign)
        done: asyncio.Future[AnswerSignature] = loop.create_future()
        self._waiting.append(_Waiting(request_digest, answer_leaf(request_digest, answer), done))
        signature = await done
        return answer + field(number, signature.SerializeToString(deterministic=True))

    def _sign(self) -> None:
        waiting, self._waiting = self._waiting, []
        levels = levels_of([each.leaf for each in waiting])
        (root,) = levels[-1]
        try:
            signature = self._key.sign(signed_text(len(waiting), root))
        except Exception as error:
            # Nobody else would tell them: this is a turn of the loop, not of a call.
            for each in waiting:
                if not each.done.done():
                    each.done.set_exception(error)
            return
        for index, each in enumerate(waiting):
            if not each.done.done():
                each.done.set_result(
                    AnswerSignature(
                        request_digest=each.request_digest,
                        index=index,
                        size=len(waiting),
                        audit_path=audit_path(levels, index),
                        signature=signature,
                    )
                )
