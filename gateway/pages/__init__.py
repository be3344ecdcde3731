"""Pages for people: rendering, the headers that guard them, bounded forms, one style sheet,
charts, and how words, addresses, amounts, instants and cookies are put.

Imports nothing of the gateway but oauth's reader of forms and who a caller is, so that every web
part may use it.
Promises that pages run no script, load nothing from elsewhere and cannot be framed.
"""
