"""Generated from the protos of this folder by ``make protos``."""
