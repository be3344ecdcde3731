"""The authorisation server: Authlib's core behind Starlette, one module per RFC.

May import operators, the PKI and the clock; never the request path it serves.
Promises tokens bound to the client's certificate or key (G3), and that withdrawn scopes,
suspended operators, removed clients and retired keys stop at once (G4).
"""
