"""Pages for people: rendering, the headers that guard them, bounded forms, one style sheet.

Imports nothing of the gateway, so that every web part may use it.
Promises that pages run no script, load nothing from elsewhere and cannot be framed.
"""
