"""Consents as the gateway handles them: asked for, answered, watched, ended and proved.

May import consent, operators and the gateway's authority, catalogue, meter, oauth, signin
and storage; the words of gateway/pages; nothing of gateway/interaction, server or subject.
Promises that what a subject agreed to is signed (receipts), that its end acts at once on
every process (G4) and is told with the duty to remove (G9), and that all use is traced (G7).
"""
