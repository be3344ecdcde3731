"""An identity provider for development, demo and tests: invented people, no passwords.

May import the PKI, the signature algorithms of oauth, sign-in's levels and the clock;
nothing of the gateway imports it but the process that runs it.
Promises to speak OpenID Connect as a real one does, and never to stand beside a real one.
"""
