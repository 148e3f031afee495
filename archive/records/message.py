"""Commit messages of an archive: a subject, a body, and trailers that scripts can read."""

from archive.records.record import Origin, Record


def message(record: Record, origin: Origin | None = None) -> str:
    """The message of a record: subject, title, reason and trailers, each on one line."""
    proposal = record.proposal
    parts = [f"{record.id}: {record.status}", proposal.title]
    if record.reason:
        parts.append(record.reason)
    trailers = {
        "Parent": proposal.parent,
        "Status": record.status,
        "Protocol": f"{record.protocol} {record.protocol_hash}",
        "Proposer": proposal.provenance.proposer,
    }
    if record.predicted is not None:
        trailers["Predicted"] = record.predicted
    if origin is not None:
        trailers["Merged-From"] = f"{origin.id} {origin.commit}"
    return "\n\n".join([*map(_line, parts), "\n".join(f"{key}: {_line(value)}" for key, value in trailers.items())])


def _line(text: str) -> str:
    """Untrusted text on one line, so that it can neither end a message nor forge a trailer."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
