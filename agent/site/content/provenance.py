"""Where a proposal comes from, on its page: who made it and with what, what was asked, which runs were made."""

import json
from typing import Any

from agent.site.content.text import seen, visible
from archive.records.record import Exchange, Record
from evaluator.outcomes import Trial
from variants.contract import short_name


def provenance(record: Record, commit: str | None) -> list[tuple[str, str]]:
    """What is known of where it comes from, as pairs of a label and a text."""
    proposal, origin, cost = record.proposal, record.proposal.provenance, record.cost
    runs = record.trials
    price = "unknown" if cost.usd is None else f"{cost.usd:.4f} USD"
    known = {
        "Proposer": origin.proposer,
        "Model": origin.model,
        "Seed of the ask": str(origin.seed),
        "Prompt (hash)": origin.prompt_hash,
        "Parents": ", ".join(short_name(name) for name in origin.parents),
        "Mechanisms": json.dumps(origin.mechanisms, ensure_ascii=False) if origin.mechanisms else None,
        "Created": record.created,
        "Commit": commit,
        "Predictions committed": record.predicted,
        "Source (sha256)": proposal.variant.source_hash,
        "Protocol": f"{record.protocol}, hash {record.protocol_hash}",
        "Training seeds": ", ".join(map(str, sorted({run.seed for run in runs}))),
        "Sandbox grade": ", ".join(sorted({run.sandbox_grade.value for run in runs}))
        or (record.check.sandbox_grade.value if record.check else None),
        "Isolation": ", ".join(sorted({run.isolation for run in runs})),
        "Device": ", ".join(sorted({run.device for run in runs})),
        "Versions": "; ".join(sorted({", ".join(f"{k} {v}" for k, v in run.versions.items()) for run in runs})),
        "Cost": f"{cost.cpu_seconds:.0f} CPU s, {cost.wall_seconds:.0f} s of wall time",
        "Tokens": f"{cost.prompt_tokens} in, {cost.completion_tokens} out, price {price}" if origin.model else None,
    }
    return [(key, visible(value, 2_000)) for key, value in known.items() if value]


def exchange_shown(exchange: Exchange) -> dict[str, Any]:
    """One request to a model and its reply."""
    return {
        "attempt": exchange.attempt,
        "prompt": visible(exchange.prompt),
        "reply": visible(exchange.reply or ""),
        "error": visible(exchange.error or "", 2_000),
        "usage": ", ".join(f"{key} {value}" for key, value in seen(exchange.usage).items()),
        "seconds": exchange.seconds,
    }


def trial_shown(trial: Trial) -> dict[str, Any]:
    """One training run."""
    return {
        "task": trial.task,
        "setting": visible(trial.setting, 80),
        "seed": trial.seed,
        "lr": trial.lr,
        "weight_decay": trial.weight_decay,
        "status": trial.status,
        "accuracy": trial.accuracy,
        "loss": trial.test_loss,
        "steps": trial.steps,
        "cpu": trial.cpu_seconds,
        "certificate": trial.certificate,
        "inherited": visible(short_name(trial.inherited_from), 120) if trial.inherited_from else "",
        "failure": visible(f"{trial.failure.kind}: {trial.failure.message}", 1_000) if trial.failure else "",
    }
