"""How much memory there is for decoded images."""

import contextlib
import os
import pathlib

# Of the memory that is free: the networks need some, too.
MEMORY_SHARE = 0.5
# Where nothing tells how much is free.
_CAUTIOUS_MEMORY = 1 << 30


def free_memory() -> int:
    """Bytes of memory that the process can still take, as far as the system tells."""
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = pathlib.Path("/proc/meminfo").read_text(encoding="utf-8")
        found.append(1024 * int(text.split("MemAvailable:")[1].split()[0]))
    # What a container may take.
    with contextlib.suppress(OSError, ValueError):
        group = pathlib.Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text(encoding="utf-8"))
        found.append(
            limit - int((group / "memory.current").read_text(encoding="utf-8"))
        )
    if not found:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return max(0, min(found, default=_CAUTIOUS_MEMORY))
