"""The contract keeps its word: protos, stubs, comments, scopes, refusals, pages.

Imports creditgate and the documentation's reader; starts no server.
``status.documented_status`` is what a running server is compared with.
"""
