"""The command line: what it takes, prints and answers, and real commands on a real gateway."""
