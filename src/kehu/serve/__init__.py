"""Serving: the current publication, copied to where other tools read it.

target.py        what a target is, what was written to it, where that is kept
publication.py   the published file as tables with types, keys and descriptions
postgres.py      into PostgreSQL: copied beside, checked, swapped in one transaction
parquet.py       into a folder of Parquet
run.py           one or all targets; failures are told and do not touch what is published here
"""
