"""Node clients of the gateway, and tests that run them as a user would.

``*.mjs`` are the clients; conftest.py installs their packages from package-lock.json.
"""
