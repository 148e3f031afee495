"""What a candidate may read: the interpreter, its packages, the system's libraries, and our two packages."""

import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import evaluator
import variants

SYSTEM = (
    "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/local/lib", "/usr/local/cuda", "/lib", "/lib64",
    "/nix/store", "/gnu/store", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
)  # fmt: skip
FACTS = ("/dev/null", "/dev/zero", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu")
"""Facts on the machine and harmless devices: libraries choose their code paths by them."""

GPU_FACTS = ("/proc/driver/nvidia", "/proc/devices", "/proc/modules", "/sys/devices/system/node")
"""What an NVIDIA driver looks up when it starts."""


def import_path() -> list[str]:
    """Where this process finds the standard library and installed packages; never the working or the source folder."""
    sites = {*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("purelib")}
    sites |= {sysconfig.get_path("platlib"), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    known = {Path(path).resolve() for path in sites}
    return [
        path
        for path in sys.path
        if path and (_is_under(Path(path).resolve(), known) or Path(path).name in ("site-packages", "dist-packages"))
    ]


def readable(packages: Path) -> tuple[str, ...]:
    """Folders and files to grant for reading. `packages` holds links to our two packages, see `link_packages`."""
    interpreter = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *import_path())
    own = (str(packages), *(str(folder) for folder in _own()))
    return tuple(_outermost(path for path in (*interpreter, *own, *SYSTEM) if Path(path).exists()))


def link_packages(folder: Path) -> Path:
    """Make a folder from which exactly `evaluator` and `variants` can be imported, wherever they are installed."""
    folder.mkdir()
    for package in _own():
        (folder / package.name).symlink_to(package)
    return folder


def accelerator_devices() -> tuple[str, ...]:
    """The device files that an NVIDIA driver needs."""
    return tuple(sorted(str(path) for path in Path("/dev").glob("nvidia*") if not path.is_dir()))


def _own() -> tuple[Path, Path]:
    return Path(evaluator.__path__[0]).resolve(), Path(variants.__path__[0]).resolve()


def _outermost(paths: Iterable[str]) -> list[str]:
    """Both the path as named and where links lead, without what lies inside another of them."""
    found = {form for path in paths for form in (str(Path(path).absolute()), str(Path(path).resolve()))}
    return sorted(path for path in found if not any(str(parent) in found for parent in Path(path).parents))


def _is_under(path: Path, folders: Iterable[Path]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)
