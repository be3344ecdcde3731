"""Who agreed: the port through which the request path asks for subjects' consents.

May import creditgate and the standard library; nothing of gateway/, operators/ or sdk/.
Promises that consent-only items are closed unless a live consent covers them (G3).
"""
