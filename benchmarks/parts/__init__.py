"""What is measured, one module a part: each starts its servers, takes turns, gives figures."""
