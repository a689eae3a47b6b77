"""What Linux's /proc says of processes. Every function answers None (or nothing) for a process that
has gone meanwhile: that is the usual case, not an error. Source: proc(5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def boot_id() -> str:
    """Changes with every start of the host: a process number means nothing across it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat after the command's name; index 0 is the state (field 3)."""
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name stands in parentheses and may itself hold spaces and parentheses.
    return line[line.rindex(b")") + 2 :].split()


def start_ticks(pid: int) -> int | None:
    """When it started, in ticks since boot: with the number, it identifies a process for good.
    None for a zombie, too: nothing of it runs any more."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in b"ZX" else int(fields[19])


def state(pid: int) -> str:
    """One letter: R runs, S sleeps, D sleeps and hears no signal, T is stopped; X for one that has
    gone."""
    fields = _stat(pid)
    return "X" if fields is None else fields[0].decode()


def cpu_s(pid: int) -> float:
    """Processor time of it and of its children that ended."""
    fields = _stat(pid)
    return 0.0 if fields is None else sum(map(int, fields[11:15])) / _TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """Resident memory; pages shared with others count in full."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def max_rss_bytes(pid: int) -> int:
    """The most resident memory that it has had since its exec; of a zombie nothing is known."""
    try:
        for line in Path(f"/proc/{pid}/status").read_bytes().splitlines():
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def pss_bytes(pid: int) -> int:
    """Resident memory in which a page that n processes share counts as 1/n: slow (the kernel walks
    the page tables), exact for a sum. Resident memory where the kernel does not tell."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return rss_bytes(pid)


def with_environment(variable: str) -> Iterator[tuple[int, str]]:
    """(process, value) of every process of this user that was started with `variable` set."""
    prefix = variable.encode() + b"="
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        for item in environment.split(b"\0"):
            if item.startswith(prefix):
                yield int(entry.name), os.fsdecode(item[len(prefix) :])
                break
