"""Who agreed: consents (授权), delegations, keys of subjects, and the duty to remove copies.

May import creditgate, pydantic and SQLAlchemy; nothing of gateway/, operators/ or sdk/.
Promises that consent-only items open under a live consent alone, as often as it allows (G3).
"""
