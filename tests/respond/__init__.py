"""The record calls over real stores: what is served, to whom, when, and at what charge."""
