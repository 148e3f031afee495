"""What can go wrong with an archive that its user can mend."""


class ArchiveError(Exception):
    """One line that says what is wrong with the archive, where, and what to do about it."""
