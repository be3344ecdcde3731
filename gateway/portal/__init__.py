"""The operators' portal (运营机构门户): what an operator used, owes and holds, in a browser.

Imports the contract, settlement's pure rules, the view of authority, sign-in and pages; no
service. Shows who represents an operator that operator's own things and nobody else's, judged
anew at each page (G3, G4, G11); it changes nothing.
"""
