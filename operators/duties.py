"""Duties of an operator that outlive its right to act: one home for their scopes. Pure.

What an operator was served under a consent it must remove when the consent ends, also
where the operator itself was suspended or revoked, or has no licence in force: Personal
Information Protection Law, article 47 (removal when consent is withdrawn or processing
stops), and ISO/IEC TS 27560 (what is to happen at the end). What it holds of the public
disclosure must go, or be mended, with the disclosure: Opinions on improving the social
credit system, articles 8 and 13. It can do so only if it is told, and can say and prove
that it did.
"""

from typing import Final

DUTY_SCOPES: Final = frozenset(
    {
        "consents:read",
        "consents:revoke",
        "consents:watch",
        "credit.conformance:acknowledge",
        "credit.conformance:answer",
        "credit.conformance:attest",
        "credit.conformance:contest",
        "credit.conformance:read",
        "credit.conformance:reconcile",
        "credit.conformance:watch",
        "credit.regions:watch",
    }
)
"""Scopes to be told of consents and disclosures, to give consents up, to acknowledge
removals, and to prove what is held.

No method of theirs serves records or takes on more. They stay open whatever the state of
operator and licences, as long as client, key and grant stand.
"""
