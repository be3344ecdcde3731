"""Rating: what a month of use costs, for whoever bills it and whoever checks the bill.

Imports the contract alone; pure. Promises that the same use, plans and classes give the same bill,
whoever works it out (G6).
"""
