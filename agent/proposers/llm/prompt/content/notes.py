"""The notebook as a prompt shows it: each claim with its evidence, and with what the leaderboard has against it."""

from agent.analysis.notebook import notebook
from agent.analysis.snapshot import ArchiveSnapshot
from agent.reports.claims.contradictions import contradictions
from variants.contract import short_name


def notebook_lines(snapshot: ArchiveSnapshot) -> tuple[str, ...]:
    """A line a claim; none where there is no notebook yet."""
    known = {*snapshot.variants, *(record.proposal.variant.name for record in snapshot.history)}
    found = notebook(snapshot.history, snapshot.whole, known)
    if found is None:
        return ()
    lines = []
    for claim in found.claims:
        links = ", ".join(f"`{short_name(name)}`" for name in claim.links)
        wrong = "; ".join(contradictions(claim.text, snapshot))
        lines.append(f"{claim.text} ({links})" + (f" CONTRADICTED: it {wrong}" if wrong else ""))
    return tuple(lines)
