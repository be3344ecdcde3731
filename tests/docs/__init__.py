"""Documentation that is run and compared: commands, calls, tables, and what pages promise."""
