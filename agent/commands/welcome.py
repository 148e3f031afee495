"""What archer says when nothing is asked of it: how to begin, and which version it is."""

from importlib.metadata import PackageNotFoundError, version

import typer

_WELCOME = """\
archer {version}: searches for better sequence-mixing architectures

Begin:
  archer doctor                           check what this machine has and what is missing
  archer propose --n 5                    propose, train and score five variants (2 to 20 minutes on two cores)
  archer leaderboard                      show all scores
  archer show 1                           show the first proposal
  archer report                           write a site of all proposals

Try an idea of your own:
  archer new delta_net_4layer my_idea     write my_idea.py, with a guide in it
  archer check my_idea.py                 check it, in seconds
  archer evaluate my_idea.py              train and score it, in minutes
  archer evaluate my_idea.py --add        put the result into the archive
  archer versus my_idea                   compare its scores with its parent

archer --help                             lists all commands
archer COMMAND --help                     explains one, with an example
archer --install-completion               completes commands and options in your shell
"""


def welcome() -> str:
    """A page for somebody who typed `archer` alone."""
    return _WELCOME.format(version=own_version())


def own_version() -> str:
    """The version that is installed."""
    try:
        return version("archer-search")
    except PackageNotFoundError:
        return "of a checkout that is not installed"


def print_version(wanted: bool) -> None:
    """Print the version and end, if `wanted`."""
    if wanted:
        typer.echo(f"archer {own_version()}")
        raise typer.Exit
