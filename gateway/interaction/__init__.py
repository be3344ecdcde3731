"""The pages of the authorisation endpoint: sign in, see what is asked, approve or deny.

May import sign-in, the pages, the port of oauth's interactions, consents and who acts for a
subject, authority and the catalogue's names; oauth's endpoints know only where it is.
Promises that a person approves what the page showed and no more, within their roles or
for a company they act for, and that a consent is granted with its code or not at all (G3).
"""
