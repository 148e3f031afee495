"""What becomes of trials on a cluster whose nodes fail: three hosts on one machine, see `benchmarks.hosts`. Needs root.

python -m benchmarks.cluster                       # all scenarios under smoke, a table
python -m benchmarks.cluster late killed           # only these
python -m benchmarks.cluster --quick               # one proposal under quick, against the local engine
python -m benchmarks.cluster --search DIR          # a search under smoke, for benchmarks.variants_a_day

In each scenario the first host evaluates a variant on the cluster, and something happens to a host in the middle. What
is archived is then compared with what the local engine gives.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from archive.store import Archive
from benchmarks.hosts import ROOT, Host, Hosts, copy_of_archer, why_not, without_bubblewrap
from evaluator.outcomes import Status, Trial
from evaluator.protocols.protocol import TrialSpec
from evaluator.trials.run_trial import spec_of

VARIANT = "delta_net_4layer_decay_state_update_in_for_loop"
SEEDS = 3
"""Seed 0 is archived: two seeds of six tasks are trained."""
IDLE = 3
"""Processes of a sandbox in which no candidate runs: bubblewrap's two and the template."""
PATIENCE = 300.0
Bits = tuple[str | None, float | None, float | None]


@dataclass
class Play:
    """A cluster of three hosts, of which the first is the head and runs archer on an archive."""

    hosts: Hosts
    words: Sequence[str]
    node: "subprocess.Popen[bytes] | None" = None
    archer: "subprocess.Popen[bytes] | None" = None
    kept: dict[TrialSpec, float] = field(default_factory=dict)
    """Seconds that a trial took which had ended when something happened: trained again, it would take others."""

    @property
    def archive(self) -> Path:
        """The archive's folder."""
        return self.hosts[0].folder / "a"

    def start(self, *joining: Host) -> None:
        """Start the head, with one trial at once, and nodes of other hosts."""
        self.hosts[0].start_ray()
        for host in joining:
            host.start_ray(self.hosts[0])
        self.begin()

    def begin(self) -> None:
        """Start archer."""
        head = self.hosts[0]
        self.archer = head.archer([*self.words, "--archive", str(self.archive), "--engine", "ray"], head)

    def ended(self) -> list[Trial]:
        """The trials that have ended and are not archived yet."""
        log = self.archive / ".git" / "archer-unfinished.jsonl"  # where the archive is still being made, there is none
        lines = log.read_text().splitlines() if log.exists() else []
        return [Trial.model_validate_json(line) for line in lines if line.endswith("}")]

    def until(self, happened: Callable[[], object], what: str) -> None:
        """Wait for something while archer runs. Raises AssertionError if it does not happen."""
        deadline = time.monotonic() + PATIENCE
        while not happened():
            alive = self.archer is None or self.archer.poll() is None
            assert alive or happened(), f"archer ended before {what}: {self.hosts[0].said}"
            assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}; {self.hosts[0].said}"
            time.sleep(0.05)

    def middle(self, host: Host) -> None:
        """Wait until some trials have ended and the host is training another; note what has ended."""
        self.until(lambda: len(self.ended()) > 1 and len(host.sandboxes()) > IDLE, f"{host.address} trains")
        self.kept = {spec_of(trial): trial.wall_seconds for trial in self.ended()}

    def heard(self, words: str) -> None:
        """Wait until archer has said this."""
        self.until(lambda: words in self.hosts[0].said, words)

    def end(self, patience: float = PATIENCE) -> int:
        """Wait for archer's end; its exit code."""
        assert self.archer is not None
        return self.archer.wait(patience)


@dataclass(frozen=True)
class Outcome:
    """How a scenario ended. code: archer's. lost: of trials that had ended, those that were trained again."""

    code: int
    trials: int
    same: bool
    lost: int
    twice: int
    left: int
    said: tuple[str, ...]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether all is as it should be."""
        return (self.code, self.same, self.lost, self.twice, self.left) == (0, True, 0, 0, 0)


def undisturbed(play: Play) -> None:
    """Nothing happens."""
    play.start(play.hosts[1], play.hosts[2])


def late(play: Play) -> None:
    """A node joins in the middle."""
    play.start()
    play.middle(play.hosts[0])
    play.hosts[1].start_ray(play.hosts[0])
    play.heard(f"node {play.hosts[1].address} has joined: 2 training runs at once")
    play.until(lambda: len(play.hosts[1].sandboxes()) > IDLE, "the late node trains")


def killed(play: Play) -> None:
    """A node is killed in the middle."""
    play.start(play.hosts[1], play.hosts[2])
    play.middle(play.hosts[1])
    play.hosts[1].kill()
    play.heard(f"node {play.hosts[1].address} is lost: 2 training runs at once")
    play.heard(f"it was lost on {play.hosts[1].address}")


def short_cut(play: Play) -> None:
    """A link is cut for two seconds."""
    play.start(play.hosts[1], play.hosts[2])
    play.middle(play.hosts[1])
    play.hosts[1].cut()
    time.sleep(2.0)
    play.hosts[1].heal()


def long_cut(play: Play) -> None:
    """A link is cut until the node is given up, and healed; the node is started again, as a service would be."""
    play.start(play.hosts[1], play.hosts[2])
    play.middle(play.hosts[1])
    play.hosts[1].cut()
    play.heard(f"node {play.hosts[1].address} is lost")
    play.hosts[1].heal()
    play.until(lambda: not play.hosts[1].sandboxes(), "the node that was given up ends what it trains")
    play.hosts[1].start_ray(play.hosts[0])


def slow(play: Play) -> None:
    """A node is ten times slower."""
    play.start(play.hosts[1], play.hosts[2])
    play.middle(play.hosts[1])
    with play.hosts[1].slowed(10):
        play.end()


def another_archer(play: Play) -> None:
    """A node has another archer."""
    own = copy_of_archer(play.hosts[1].folder / "another", "not the same")
    play.hosts[1].start_ray(play.hosts[0], archer=own)
    play.start(play.hosts[2])
    play.heard(f"no more trials for node {play.hosts[1].address}: it has archer")


def lower_grade(play: Play) -> None:
    """A node can make only a sandbox of a lower grade."""
    play.hosts[1].start_ray(play.hosts[0], environment=without_bubblewrap(play.hosts[1].folder / "bare"))
    play.start(play.hosts[2])
    play.heard(f"no more trials for node {play.hosts[1].address}: no sandbox of grade A or better")


def archer_killed(play: Play) -> None:
    """archer is killed in the middle and started again."""
    play.start(play.hosts[1], play.hosts[2])
    kill_archer_and_begin_again(play, play.hosts[1])


def kill_archer_and_begin_again(play: Play, host: Host) -> None:
    """Kill archer while a host trains, and start it again once nothing trains."""
    play.middle(host)
    assert play.archer is not None
    os.kill(play.archer.pid, signal.SIGKILL)
    play.archer.wait()
    play.archer = None
    play.until(lambda: not any(host.sandboxes() for host in play.hosts), "all trainings end with archer")
    play.begin()


def archer_stopped(play: Play) -> None:
    """archer gets SIGTERM, as from Slurm, and is started again."""
    play.start(play.hosts[1], play.hosts[2])
    play.middle(play.hosts[1])
    assert play.archer is not None
    os.kill(play.archer.pid, signal.SIGTERM)
    assert play.end() == 130, play.hosts[0].said
    play.begin()


def head_killed(play: Play) -> None:
    """The head's Ray is killed in the middle; then everything is started again."""
    play.start(play.hosts[1], play.hosts[2])
    play.middle(play.hosts[1])
    assert play.archer is not None
    play.hosts[0].kill(spared=play.archer.pid)
    assert play.end() == 2, play.hosts[0].said
    play.archer = None
    play.until(lambda: not any(host.sandboxes() for host in play.hosts), "all trainings end with the head")
    for host in play.hosts:
        host.kill()
    play.start(play.hosts[1], play.hosts[2])


def all_come_and_go(play: Play) -> None:
    """A node has another archer, and joins late with the right one; archer is killed and begins again; a link is cut.

    Most of what can happen, on one cluster: what the tests have time for.
    """
    late_node, cut_node = play.hosts[1], play.hosts[2]
    late_node.start_ray(play.hosts[0], archer=copy_of_archer(late_node.folder / "another", "not the same"))
    play.start(cut_node)
    play.heard(f"no more trials for node {late_node.address}: it has archer")
    late_node.kill()
    late_node.start_ray(play.hosts[0])
    kill_archer_and_begin_again(play, late_node)
    play.until(lambda: len(cut_node.sandboxes()) > IDLE, "a node trains again")
    cut_node.cut()
    play.heard(f"node {cut_node.address} is lost")
    cut_node.heal()


SCENARIOS: dict[str, Callable[[Play], None]] = {
    each.__name__: each
    for each in (
        undisturbed, late, killed, short_cut, long_cut, slow, another_archer, lower_grade, archer_killed,
        archer_stopped, head_killed, all_come_and_go,
    )
}  # fmt: skip


@contextmanager
def play_of(archive: Path) -> Iterator[Play]:
    """Three hosts, and a copy of an archive that the local engine made nothing in yet."""
    words = ("evaluate", VARIANT, "--protocol", "smoke", "--seeds", str(SEEDS), "--add")
    with Hosts() as hosts:
        subprocess.run(["cp", "-r", str(archive), str(hosts[0].folder / "a")], check=True)
        yield Play(hosts, words)


def run(name: str, archive: Path, reference: dict[TrialSpec, Bits]) -> Outcome:
    """Play a scenario to its end."""
    began = time.monotonic()
    with play_of(archive) as play:
        SCENARIOS[name](play)
        code = play.end()
        trials = added(play.archive)
        left = still_running(play.hosts)
        said = tuple(line for line in play.hosts[0].said.splitlines() if told_of_the_cluster(line))
    found = {spec_of(trial): trial for trial in trials}
    return Outcome(
        code,
        len(trials),
        {spec: bits(trial) for spec, trial in found.items()} == reference,
        sum(spec not in found or found[spec].wall_seconds != seconds for spec, seconds in play.kept.items()),
        sum(count - 1 for count in Counter(map(spec_of, trials)).values()),
        left,
        said,
        time.monotonic() - began,
    )


def told_of_the_cluster(line: str) -> bool:
    """Whether a line says what happened."""
    return "begins again" in line or line.startswith(("Ray cluster", "archer: ", "stopping", "added", "nothing is"))


def still_running(hosts: Hosts) -> int:
    """Processes of sandboxes that are left a minute after archer's end, on all hosts."""
    deadline = time.monotonic() + 60.0
    while (left := sum(len(host.sandboxes()) for host in hosts)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def added(archive: Path) -> list[Trial]:
    """The trials of the variant that were trained and archived."""
    trials = Archive(archive).trials("smoke").get(VARIANT, ())
    return [trial for trial in trials if trial.seed > 0 and trial.status is Status.SCORED]


def bits(trial: Trial) -> Bits:
    """What is equal if and only if two trainings ended in the same bits, with the same score."""
    return trial.weights_hash, trial.accuracy, trial.test_loss


def made(folder: Path) -> tuple[Path, dict[TrialSpec, Bits]]:
    """An archive, and what the local engine gives for the variant in a copy of it."""
    archive, local = folder / "archive", folder / "local"
    here = [sys.executable, "-c", "from agent.cli import main; main()"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    subprocess.run([*here, "init", str(archive)], **quiet)  # type: ignore[call-overload]
    subprocess.run(["cp", "-r", str(archive), str(local)], check=True)
    words = ["evaluate", VARIANT, "--protocol", "smoke", "--seeds", str(SEEDS), "--add", "--archive", str(local)]
    subprocess.run([*here, *words], **quiet)  # type: ignore[call-overload]
    return archive, {spec_of(trial): bits(trial) for trial in added(local)}


def main() -> None:
    """Play the scenarios and print the table, with what archer said of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(SCENARIOS)}; else all")
    parser.add_argument("--quick", action="store_true", help="one proposal under quick")
    parser.add_argument("--search", type=Path, metavar="DIR", help="a search under smoke, kept in this archive")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the hosts end with this process
    if reason := why_not():
        raise SystemExit(reason)
    if options.search is not None:
        print(search(options.search))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.quick:
            print(quick(Path(folder)))
            return
        archive, reference = made(Path(folder))
        print(f"local engine: {len(reference)} trials", flush=True)
        bad = 0
        for name in options.names or SCENARIOS:
            outcome = run(name, archive, reference)
            bad += not outcome.good
            print(row(name, outcome), flush=True)
    sys.exit(bool(bad))


def quick(folder: Path) -> str:
    """One proposal under quick: on the cluster, a node of which is killed, and at the same time by the local engine."""
    words = ("propose", "--n", "1", "--protocol", "quick", "--proposer", "evolve", "--seed", "3", "--no-race",
             "--no-confirm")  # fmt: skip
    local = folder / "local-quick"
    here = subprocess.Popen(
        [sys.executable, "-c", "from agent.cli import main; main()", *words, "--quiet", "--archive", str(local)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    with Hosts() as hosts:
        play, began = Play(hosts, words), time.monotonic()
        play.start(hosts[1], hosts[2])
        play.middle(hosts[1])
        hosts[1].kill()
        code, there = play.end(3600.0), time.monotonic() - began
        (record,) = Archive(play.archive).records()
        left, said = still_running(hosts), play.hosts[0].said
    assert here.wait() == 0
    (reference,) = Archive(local).records()
    found = {spec_of(trial): trial for trial in record.trials}
    same = {spec: bits(trial) for spec, trial in found.items()} == {spec_of(t): bits(t) for t in reference.trials}
    lost = sum(found[spec].wall_seconds != seconds for spec, seconds in play.kept.items())
    outcome = Outcome(
        code,
        len(record.trials),
        same,
        lost,
        len(record.trials) - len(found),
        left,
        tuple(line for line in said.splitlines() if told_of_the_cluster(line)),
        there,
    )
    return f"{row('quick', outcome)}\n{record.id}"


def search(kept: Path) -> str:
    """A search under smoke on three slots, two proposals at once; its archive is left in `kept`."""
    words = ("propose", "--n", "6", "--jobs", "2", "--protocol", "smoke", "--proposer", "evolve", "--no-race")
    with Hosts() as hosts:
        play = Play(hosts, words)
        hosts[0].start_ray()
        for host in hosts[1:]:
            host.start_ray(hosts[0])
        time.sleep(20.0)  # so that all nodes are there from the beginning
        play.begin()
        play.heard("asking")
        began = time.monotonic()
        play.heard("training: ")
        trains = time.monotonic()
        play.until(play.ended, "a trial has ended")
        start = time.monotonic() - trains - play.ended()[0].wall_seconds
        play.end()
        took = time.monotonic() - began
        subprocess.run(["cp", "-r", str(play.archive), str(kept)], check=True)
    return f"--against {kept} --slots 3 --jobs 2 --start {start:.0f} --took {took:.0f}"


def row(name: str, outcome: Outcome) -> str:
    """A line of the table, and what archer said."""
    same = "yes" if outcome.same else "NO"
    numbers = (name, outcome.trials, same, outcome.lost, outcome.twice, outcome.left, f"{outcome.seconds:.0f}")
    return "\n".join(["| " + " | ".join(map(str, numbers)) + " |", *(f"    {line}" for line in outcome.said)])


if __name__ == "__main__":
    main()
