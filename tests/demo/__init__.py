"""The demo: it shows what it says, and a served demo can be called from outside."""
