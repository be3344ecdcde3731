"""The administrators' console (管理控制台): the gateway as a whole, seen and steered in a browser.

Imports the contract, the view of authority, sign-in and pages; no service. What it shows and
does goes through methods of the contract, judged by the roles of who is signed in (G3, G4),
and what is refused is logged like a refusal of any call (G7).
"""
