"""Tests of prices, shares, statements and the services over them."""
