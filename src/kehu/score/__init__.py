"""Scores of customers: statistics by SQL, models fitted in Python, tables that the marts read."""
