"""Git as a user would call it, to look at archives from outside."""

import subprocess
from pathlib import Path


def git(root: Path, *arguments: str) -> str:
    """What `git -C root ...` prints. Raises CalledProcessError."""
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout


def commit_all(root: Path) -> None:
    """Commit every change in a work tree, as somebody would by hand."""
    git(root, "add", "--all")
    git(root, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "changed by hand")
