"""The gate: licence, scope, purpose, openness, consent and price in one decision (G3)."""
