"""What is different between the machine of a record and this one, as far as it is recorded."""

from evaluator.machine import versions
from evaluator.outcomes import Trial

_WORDS = {"machine": "architecture", "cpu": "processor"}


def reasons(before: Trial, now: Trial) -> tuple[str, ...]:
    """Why two runs of one trial may differ; never empty."""
    found = [
        f"{_WORDS.get(key, key)} was {before.versions.get(key, 'not recorded')}, is {now.versions.get(key, 'unknown')}"
        for key in sorted(before.versions.keys() | now.versions.keys())
        if before.versions.get(key) != now.versions.get(key)
    ]
    pairs = {
        "device": (before.device, now.device),
        "sandbox grade": (before.sandbox_grade, now.sandbox_grade),
        "isolation": (before.isolation, now.isolation),
        "source": (before.source_hash[:12], now.source_hash[:12]),
        "protocol": (before.protocol_hash, now.protocol_hash),
    }
    found += [f"{what} was {old}, is {new}" for what, (old, new) in pairs.items() if old != new]
    return tuple(found) or (
        "nothing that is recorded differs: training is not deterministic here, or the record is not",
    )


def environment(trials: tuple[Trial, ...]) -> dict[str, dict[str, str | None]]:
    """Versions, by name: of the last trial that was trained for the record, not inherited, and those of here."""
    own = [trial for trial in trials if trial.inherited_from is None]
    then = (own or trials)[-1].versions if trials else {}
    now = versions()
    return {key: {"recorded": then.get(key), "now": now.get(key)} for key in sorted(then.keys() | now.keys())}


def environment_lines(trials: tuple[Trial, ...]) -> list[str]:
    """What of the environment differs, one line each; none where every trial was inherited."""
    pairs = environment(trials) if any(trial.inherited_from is None for trial in trials) else {}
    return [
        f"{key}: {'recorded ' + pair['recorded'] if pair['recorded'] else 'not recorded'}, here {pair['now'] or 'none'}"
        for key, pair in pairs.items()
        if pair["recorded"] != pair["now"]
    ]
