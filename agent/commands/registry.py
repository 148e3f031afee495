"""Which command is where. A command is imported when it is called: one does not wait for what another needs."""

from collections.abc import Callable

Command = Callable[..., int | None]

COMMANDS = (
    "init", "propose", "check", "evaluate", "calibration", "leaderboard", "list", "show", "diff", "replay", "report",
    "compare", "import-csv", "verify", "merge", "export", "protocol", "doctor",
)  # fmt: skip


def find(name: str) -> Command:  # noqa: C901 - a table, of which each line is to be read only when wanted
    """The function behind a command. Raises KeyError for a name that is none."""
    command: Command
    match name:
        case "init":
            from agent.commands.init import init as command
        case "propose":
            from agent.commands.propose import propose as command
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
