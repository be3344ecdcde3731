"""The authorisation server: Authlib's core behind Starlette, one module per RFC.

May import operators, the terms of consents, the PKI, the clock and how authenticate reads
tokens; never the rest of the request path it serves. Promises tokens bound to the client's
certificate or key (G3), and that withdrawn scopes, suspended operators, removed clients,
retired keys, ended consents and revoked tokens and grants stop at once (G4).
"""
