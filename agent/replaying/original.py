"""What there is to replay: a proposal of the archive, or a seed with the scores that the archive has of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.errors import UserError
from agent.proposers.replay import is_rebuildable, rebuild
from agent.search.fingerprint_index import FingerprintIndex
from archive.names import find_name
from archive.records.record import BY_HAND, Record
from archive.store import Archive
from evaluator.checks.fingerprint import PROBES_HASH, Fingerprint
from evaluator.outcomes import CheckReport, Scorecard, Trial
from evaluator.statistics.scorecards import scorecard
from variants.contract import BASELINE, Variant
from variants.seeds import Seed, seeds


@dataclass(frozen=True)
class Original:
    """What was recorded, beside the variant as it is made today. `origin`: in words, where the file comes from."""

    recorded: Variant
    rebuilt: Variant
    origin: str
    parent: str
    protocol: str
    protocol_hash: str
    trials: tuple[Trial, ...]
    check: CheckReport | None = None
    fingerprint: Fingerprint = ()
    card: Scorecard | None = None
    record: Record | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Variants that a merge gave other names here; what was sent and received has those of before."""

    @property
    def trained(self) -> tuple[Trial, ...]:
        """The trials that were run for it: an inherited one tells of its parent's machine, sandbox and isolation."""
        return tuple(trial for trial in self.trials if trial.inherited_from is None)

    @property
    def of_a_search(self) -> bool:
        """Whether a search proposed it: it was held to change nothing outside the for-loop."""
        return self.record is not None and self.record.proposal.provenance.proposer != BY_HAND


def find_original(archive: Archive, reference: str, protocol: str) -> Original:
    """The proposal, else the seed, of this name. `protocol`: which scores of a seed. Raises ArchiveError, UserError."""
    if archive.identity(reference) is None and (name := find_name(reference, seeds())) is not None:
        return _of_seed(archive, seeds()[name], protocol)
    record = archive.record(reference)
    came = archive.origin(record.id)
    return _of_record(record, came.renamed if came else {})


def _of_record(record: Record, renamed: Mapping[str, str]) -> Original:
    known = record.proposal.variant
    return Original(
        recorded=known,
        rebuilt=rebuild(record, renamed).variant if is_rebuildable(record) else known,
        origin=_origin(record),
        parent=record.proposal.parent,
        protocol=record.protocol,
        protocol_hash=record.protocol_hash,
        trials=record.trials,
        check=record.check,
        fingerprint=record.check.fingerprint if record.check and record.check.probes == PROBES_HASH else (),
        card=record.scorecard,
        record=record,
        renamed=renamed,
    )


def _origin(record: Record) -> str:
    if record.exchanges:
        form = "mechanisms" if record.proposal.provenance.mechanisms else "code"
        return f"the recorded reply of {record.proposal.provenance.model} ({form})"
    if is_rebuildable(record):
        return f"the genome of {record.proposal.provenance.proposer}"
    return f"the archived file ({record.proposal.provenance.proposer}; nothing else is recorded)"


def _of_seed(archive: Archive, seed: Seed, protocol: str) -> Original:
    name = seed.variant.name
    trials = archive.trials(protocol).get(name, ())
    if not trials:
        raise UserError(f"{name} has no trials under {protocol} in {archive.root}; name another with --protocol")
    return Original(
        recorded=archive.variants().get(name, seed.variant),
        rebuilt=seed.variant,
        origin="the seed that ships with archer",
        parent=seed.parent or BASELINE,
        protocol=protocol,
        protocol_hash=trials[-1].protocol_hash,
        trials=tuple(trials),
        fingerprint=FingerprintIndex(None).of(name),
        card=scorecard([trial for trial in trials if trial.protocol_hash == trials[-1].protocol_hash]),
    )
