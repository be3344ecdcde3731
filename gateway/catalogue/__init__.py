"""The catalogue (目录): what may enter the disclosure, how open it is and for how long.

May import creditgate and operators' log and shapes; knows nothing of who asks.
Promises that nothing enters without an item that allows it (G8).
"""
