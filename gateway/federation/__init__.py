"""Federation: what regions ask of one another, and the trust it rests on.

May import everything below gateway/server; nothing of pages, sign-in or the server.
Promises G10: the home region checks everything again, the asking region only narrows, and
what cannot be known about trust, licences or consents of elsewhere is refused.
"""
