"""The pages of a subject: asked for consents, its consents and uses, deputies, keys, notices.

May import consent, gateway/consents, sign-in, the pages and authority; nothing of
interaction, respond or server.
Promises that each request is authorised anew (a verified company of one's own, or a live
delegation), that what a page showed is what is agreed to (G3), and that a company one does
not act for is never told from one that does not exist (G11).
"""
