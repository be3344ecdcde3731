"""The command line: ``creditgate``, one module for each group of commands.

Serving, setting up and signing keys work on the installation itself; everything else
talks to a gateway through the SDK, like any other client. Promises that every command
can answer in JSON, that no failure shows a traceback, and that ``--help`` is quick: what
is heavy (gRPC, HTTP, the stores) is imported by the command that needs it.
"""
