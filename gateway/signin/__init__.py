"""Signing people in: relying party of an OpenID provider, and the sessions of their browsers.

May import the signature algorithms of oauth, operators' shapes, the clock, and what pages share;
nothing of the pages that use it.
Promises that a session begins only with an answer this gateway asked for in this browser,
and that only digests of cookies are kept.
"""
