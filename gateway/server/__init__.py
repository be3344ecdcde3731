"""The server: transport, composition and processes of a running gateway.

May import everything of the gateway but the CLI; nothing imports it but the CLI.
Promises that no method is reached without authentication and scope (G3), that every
refusal is told in one form, and that a stopping process answers what it accepted.
"""
