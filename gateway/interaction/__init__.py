"""The pages of the authorisation endpoint: sign in, see what is asked, approve or deny.

May import sign-in, the pages, the port of oauth's interactions, authority and the
catalogue's names; oauth's endpoints know nothing of it but where it is.
Promises that a person approves what the page showed and no more, within their roles or
for their own company (G3).
"""
