"""The notebook as a prompt shows it: each claim with its evidence, and with what the leaderboard has against it."""

from agent.analysis.notebook import Notebook, notebook
from agent.analysis.snapshot import ArchiveSnapshot
from agent.reports.claims.contradictions import contradictions
from variants.contract import short_name


def notebook_lines(snapshot: ArchiveSnapshot) -> tuple[str, ...]:
    """A line a claim, then what ended since they were written; none where there is no notebook yet."""
    known = {*snapshot.variants, *(line.name for line in snapshot.lines)}
    found = notebook(snapshot.proposals(lambda line: line.model is not None), snapshot.whole, known)
    if found is None:
        return ()
    lines = []
    for claim in found.claims:
        links = ", ".join(f"`{short_name(name)}`" for name in claim.links)
        wrong = "; ".join(contradictions(claim.text, snapshot))
        lines.append(f"{claim.text} ({links})" + (f" CONTRADICTED: it {wrong}" if wrong else ""))
    return (*lines, *_not_in_it_yet(snapshot, found))


def _not_in_it_yet(snapshot: ArchiveSnapshot, found: Notebook) -> tuple[str, ...]:
    """The proposals whose results the writer could not know, at least its own among them."""
    (written,) = [line.number for line in snapshot.lines if line.name == found.name][:1]
    later = [short_name(line.name) for line in snapshot.lines if line.number >= written]
    return (f"Not in it yet: {', '.join(f'`{name}`' for name in later)}",)
