"""Which command is where. A command is imported when it is called: one does not wait for what another needs."""

from collections.abc import Callable

Command = Callable[..., int | None]

COMMANDS = {
    "init": "Make an archive.",
    "propose": "Propose variants, check, train and score them, and archive each with a report.",
    "new": "Write a variant file to start from, with a guide in it.",
    "check": "Check a variant file in the sandbox. Nothing is trained.",
    "evaluate": "Check, train and score one variant.",
    "leaderboard": "Show the leaderboard of one protocol.",
    "list": "List the proposals of an archive.",
    "show": "Show one proposal: results, checks, report.",
    "diff": "Show how the code of a variant differs from its parent, or from another variant.",
    "versus": "Compare the scores of a variant with its parent, or with another variant.",
    "replay": "Make a proposal again and say what differs.",
    "calibration": "Show how good the predictions were.",
    "report": "Write a static site of the archive.",
    "compare": "Set proposers against each other at equal budget.",
    "import-csv": "Read a published leaderboard into an archive.",
    "merge": "Bring the proposals of another archive into this one.",
    "export": "Export a variant as a file or a patch.",
    "verify": "Check that an archive is whole.",
    "protocol": "Show what a protocol trains, and what that costs here.",
    "doctor": "Check what this machine has and what is missing.",
}
"""Every command with a summary, which is the first sentence of its help."""


def find(name: str) -> Command:  # noqa: C901 - a table, of which each line is to be read only when wanted
    """The function behind a command. Raises KeyError for a name that is none."""
    command: Command
    match name:
        case "init":
            from agent.commands.init import init as command
        case "propose":
            from agent.commands.propose import propose as command
        case "new":
            from agent.commands.new import new as command
        case "check":
            from agent.commands.check import check as command
        case "evaluate":
            from agent.commands.evaluate import evaluate as command
        case "calibration":
            from agent.commands.calibration import calibration as command
        case "leaderboard":
            from agent.commands.leaderboard import leaderboard as command
        case "list":
            from agent.commands.listing import list_ as command
        case "show":
            from agent.commands.show import show as command
        case "diff":
            from agent.commands.diff import diff as command
        case "versus":
            from agent.commands.versus import versus as command
        case "replay":
            from agent.commands.replay import replay as command
        case "report":
            from agent.commands.report import report as command
        case "compare":
            from agent.commands.compare import compare as command
        case "import-csv":
            from agent.commands.import_csv import import_csv as command
        case "verify":
            from agent.commands.verify import verify as command
        case "merge":
            from agent.commands.merge import merge_ as command
        case "export":
            from agent.commands.export import export as command
        case "protocol":
            from agent.commands.protocol import protocol as command
        case "doctor":
            from agent.commands.doctor import doctor as command
        case _:
            raise KeyError(name)
    return command
