"""Files of the site: written whole or not at all, and only where they change."""

from pathlib import Path

DRAFTS = ".*.part"


def write(path: Path, content: bytes) -> bool:
    """Write a file; returns False if it was so already. Raises OSError."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.write_bytes(content)
    draft.replace(path)
    return True
