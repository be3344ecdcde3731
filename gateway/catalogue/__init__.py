"""The catalogue (目录): what may enter the disclosure, how open it is and for how long.

May import creditgate, the clock, who calls, and operators' log and shapes.
Promises that nothing enters without an item that allows it (G8).
"""
