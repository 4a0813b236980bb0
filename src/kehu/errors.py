"""Errors that an operator reads: what, where, and what to do."""

from __future__ import annotations


class KehuError(Exception):
    """A failure with a message for the operator; the command line shows it without a traceback.

    `exit_code` is what `kehu` exits with, so that a scheduler can tell kinds apart.
    """

    exit_code = 1


class ContractError(KehuError):
    """A feed contract is wrong: names file, line and field."""


class FileRefused(KehuError):
    """A delivered file can not be read as its feed; it stays in the archive."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class Locked(KehuError):
    """Another process writes the warehouse."""

    exit_code = 75  # EX_TEMPFAIL: trying again later is the remedy


class CheckFailed(KehuError):
    """A critical check of the night failed; the previous publication stays."""

    exit_code = 3


class SourceFailed(KehuError):
    """A source database can not be read; what was collected of it before stays."""

    exit_code = 69  # EX_UNAVAILABLE: trying again later may be the remedy


class TargetFailed(KehuError):
    """A target of the publication can not be written; what it held before stays."""

    exit_code = 69  # EX_UNAVAILABLE: trying again later may be the remedy


class MachineFault(KehuError):
    """The machine refused: no space, no permission, no memory, a damaged file."""

    exit_code = 74  # EX_IOERR
