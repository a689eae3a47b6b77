"""The process between the cloud and an instance's program. Runs alone: `python -I -S enter.py FD`.

In: file descriptor FD, a socket to the cloud. Its first line is a JSON object:
    {"argv", "env", "cwd", "cpus", "nice",
     "enclose": {"network": {"user": path, "net": path, "host_name"} | null,
                 "views": [[source, target, scratch]], "hidden": [path], "kept": [path],
                 "tmp": path | null, "binds": [[source, target, read_only]]} | null}
Then single bytes: T asks for SIGTERM to the program's process group, K for the end of everything.
Out: on the socket, JSON lines: {"event": "started"}, {"event": "error", "message"} or
{"event": "exit", "status", "max_rss_bytes"} (a wait status, and the program's peak). Standard
output and error go to the program untouched.

Three promises. When the program ends, every process that it left is killed, wherever it went: this
process is their subreaper. When the cloud ends, also by SIGKILL, the socket closes and everything
is killed. And with "enclose", the program runs in user, mount and process namespaces of its own in
which `hidden` is empty, `views` are overlays whose lower layers nobody can reach, /tmp is its own,
and `binds` are where programs look for them, as in a container. With "network", all of that
happens in the network of a job and the user namespace that owns it, which are entered first:

    cloud ── enter (outer) ── init: pid 1, mounts ── program: a second, nested pair of namespaces

A mount that is inherited by a less privileged user namespace is locked (mount_namespaces(7)): in
the nested pair not even uid 0 can unmount or remount it. The program's uids are the cloud's own.

Standard library only, no imports of Fogbank; starts in about 15 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import select
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 32, 4096, 16384, 1 << 18

_MOUNT_SETATTR, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, 0x8000, 1

_TMP = "/tmp"  # noqa: S108 - the name itself
_ENTRY = os.O_PATH | os.O_NOFOLLOW

_libc = ctypes.CDLL(None, use_errno=True)


def children(pid: int) -> list[int]:
    """The direct children of all threads of a process; none where it is gone."""
    text = b""
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - no pathlib here: start-up time
            # Half the time of open(): instances are frozen and thawed by this list.
            with contextlib.suppress(OSError):
                handle = os.open(f"/proc/{pid}/task/{task}/children", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    while piece := os.read(handle, 65536):
                        text += piece
                finally:
                    os.close(handle)
    return [int(number) for number in text.split()]


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, parents before children."""
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in children(parent)]
        found += level
    return found


def call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        shown = ", ".join(repr(value) for value in arguments if value is not None)
        raise OSError(number, f"{name}({shown}): {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    call(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        os.fsencode(options) if options else None,
    )


def _join(network: dict[str, str]) -> None:
    """Enter a job's network. What is done later is done from its user namespace."""
    ways = (("user", _CLONE_NEWUSER), ("net", CLONE_NEWNET))
    # Opened first: from the user namespace we may not look at the process that holds them.
    handles = [(os.open(network[kind], os.O_RDONLY | os.O_CLOEXEC), flag) for kind, flag in ways]
    for handle, flag in handles:
        call("setns", handle, flag)
        os.close(handle)


def own_namespaces(flags: int) -> None:
    """Enter new namespaces in which this user keeps its uid and gid and has every capability."""
    uid, gid = os.getuid(), os.getgid()
    call("unshare", _CLONE_NEWUSER | flags)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
            file.write(text)


def _overlay_option(path: str) -> str:
    """overlayfs separates layers with colons and options with commas; a backslash quotes them."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def _enclose(enclose: dict[str, Any]) -> None:
    """Mount what the program shall see. We are pid 1 of the process namespace.

    The mounts are ours and not the outer process's: it still needs the host's /proc."""
    call("unshare", _CLONE_NEWNS | _CLONE_NEWUTS)
    if enclose["network"] is not None:
        # Libraries look for their own address by the host's name.
        socket.sethostname(enclose["network"]["host_name"])
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    if os.getuid() == 0:
        _protect_kernel()
    for source, target, scratch in enclose["views"]:
        upper, work = f"{scratch}/upper", f"{scratch}/work"
        os.mkdir(upper)  # noqa: PTH102
        os.mkdir(work)  # noqa: PTH102
        layers = f"lowerdir={_overlay_option(source)},upperdir={_overlay_option(upper)}"
        _mount(
            "fogbank",
            target,
            "overlay",
            _MS_NOSUID | _MS_NODEV,
            f"{layers},workdir={_overlay_option(work)},userxattr",
        )
    # Opened before covers go on: /proc/self/fd leads below them afterwards.
    tmp = None if enclose["tmp"] is None else os.open(enclose["tmp"], os.O_PATH)
    binds = [(os.open(source, os.O_PATH), *how) for source, *how in enclose["binds"]]
    for hidden in enclose["hidden"]:
        with _kept_below(hidden, enclose["kept"]):
            _mount("fogbank", hidden, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
        _seal(hidden)
    if tmp is not None:
        # A home below /tmp (that of a test, say) stays where it is, under its cover.
        with _kept_below(_TMP, [*enclose["hidden"], *enclose["kept"]]):
            _mount(f"/proc/self/fd/{tmp}", _TMP, None, _MS_BIND | _MS_REC)
        os.close(tmp)
    for handle, target, read_only in binds:
        _bind(handle, target, read_only)
        os.close(handle)


@contextlib.contextmanager
def _kept_below(cover: str, kept: list[str]) -> Iterator[None]:
    """Show what is kept of a folder again after a cover went on it."""
    inside: dict[str, int] = {}
    for path in kept:
        if path.startswith(cover + "/") and not any(path.startswith(f"{one}/") for one in inside):
            inside[path] = os.open(path, os.O_PATH | os.O_DIRECTORY)
    yield
    for path, handle in inside.items():
        os.makedirs(path, exist_ok=True)  # noqa: PTH103
        _mount(f"/proc/self/fd/{handle}", path, None, _MS_BIND | _MS_REC)
        os.close(handle)


def _seal(path: str) -> None:
    """Make a cover of ours read-only."""
    read_only = _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV
    _mount("fogbank", path, None, read_only)


def _bind(handle: int, target: str, read_only: bool) -> None:
    """Show what was opened at `target`. Nothing of it comes to the host: where there is no such
    place, the nearest folder above is covered by ours, with everything that it has, and the place.
    """
    if not os.path.lexists(target):
        cover = os.path.dirname(target)  # noqa: PTH120
        while not os.path.isdir(cover):  # noqa: PTH112
            cover = os.path.dirname(cover)  # noqa: PTH120
        if cover == "/":
            raise OSError(errno.ENOENT, f"{target}: no folder above it exists")
        entries = {name: os.open(f"{cover}/{name}", _ENTRY) for name in os.listdir(cover)}  # noqa: PTH208
        _mount("fogbank", cover, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
        for name, entry in entries.items():
            _show_again(entry, f"{cover}/{name}")
            os.close(entry)
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        _make_place(target, os.fstat(handle).st_mode)
        _seal(cover)
    _mount(f"/proc/self/fd/{handle}", target, None, _MS_BIND | _MS_REC)
    if read_only:
        _read_only(target)


def _make_place(path: str, mode: int) -> None:
    """Something to mount on, of the same kind as what will be there."""
    if stat.S_ISDIR(mode):
        os.mkdir(path)  # noqa: PTH102
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def _show_again(handle: int, path: str) -> None:
    """Put what was opened before a cover went on at `path` on the cover."""
    mode = os.fstat(handle).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink("", dir_fd=handle), path)  # noqa: PTH211
        return
    _make_place(path, mode)
    _mount(f"/proc/self/fd/{handle}", path, None, _MS_BIND | _MS_REC)


def _read_only(path: str) -> None:
    """Make a mount and those below it read-only (mount_setattr(2))."""
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    call("syscall", _MOUNT_SETATTR, -1, os.fsencode(path), _AT_RECURSIVE, attributes, 32)


def _protect_kernel() -> None:
    """Where the cloud runs as root, so does the program, and files of the kernel's own interfaces
    belong to root: parameters that name programs to start, and the disks themselves."""
    for path in ("/proc/sys", "/proc/sysrq-trigger"):
        with contextlib.suppress(FileNotFoundError):
            _mount(path, path, None, _MS_BIND)
            _read_only(path)
    _read_only("/sys")
    for folder, _, names in os.walk("/dev"):
        for name in names:
            path = f"{folder}/{name}"
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISBLK(os.lstat(path).st_mode):
                    _mount("/dev/null", path, None, _MS_BIND)


def _execute(spec: dict[str, Any], nested: bool) -> NoReturn:
    """Become the program. Raises OSError where that cannot be."""
    os.setsid()
    if nested:
        own_namespaces(_CLONE_NEWNS)
    call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("800")  # where the host runs out of memory, a workload goes before the cloud
    os.sched_setaffinity(0, spec["cpus"])
    os.nice(spec["nice"])
    os.chdir(spec["cwd"])
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606


def _fork(act: Callable[[], NoReturn]) -> int:
    """Fork a child that runs `act` to its exec. Returns once it has become something else; raises
    OSError with the child's words where it could not."""
    reader, writer = os.pipe()  # close-on-exec: its end tells of the exec
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            act()
        except BaseException as error:
            os.write(writer, (str(error) or repr(error)).encode())
        finally:
            os._exit(127)
    os.close(writer)
    with open(reader, "rb") as pipe:  # noqa: PTH123
        words = pipe.read()
    if words:
        os.waitpid(pid, 0)
        raise OSError(words.decode(errors="replace"))
    return pid


class _Report:
    """The socket's other direction."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def __call__(self, **event: object) -> None:
        with contextlib.suppress(OSError):  # the cloud has gone; then everything ends anyway
            self._channel.sendall(json.dumps(event).encode() + b"\n")


def _init(spec: dict[str, Any], report: _Report) -> NoReturn:
    """pid 1 of the enclosure: mounts, starts the program, reaps; when it returns, the kernel kills
    whatever is left in the process namespace."""
    try:
        call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _enclose(spec["enclose"])
        program = _fork(lambda: _execute(spec, nested=True))
    except OSError as error:
        report(event="error", message=str(error))
        os._exit(0)
    signal.signal(signal.SIGTERM, lambda *_: _signal_group(program))
    report(event="started")
    while True:
        pid, status, usage = os.wait4(-1, 0)
        if pid == program:
            report(event="exit", status=status, max_rss_bytes=1024 * usage.ru_maxrss)
            os._exit(0)


def _signal_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGTERM)


def _end_all() -> None:
    """Kill every process below this one until there is none: they may be forking meanwhile."""
    while True:
        below = descendants(os.getpid())
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _watch(channel: socket.socket, leader: int, enclosed: bool, report: _Report) -> None:
    """Obey the cloud until the leader (the program, or init) has ended."""
    waker, wakes = socket.socketpair()
    waker.setblocking(False)
    wakes.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    try:
        _obey(channel, wakes, leader, enclosed, report)
    finally:
        signal.set_wakeup_fd(-1)


def _obey(
    channel: socket.socket, wakes: socket.socket, leader: int, enclosed: bool, report: _Report
) -> None:
    while True:
        while True:  # reap first: the leader may have ended before the wake-up was set
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            if pid == leader:
                if not enclosed:
                    report(event="exit", status=status, max_rss_bytes=1024 * usage.ru_maxrss)
                return
        ready, _, _ = select.select([channel, wakes], [], [])
        if wakes in ready:
            wakes.recv(4096)
        if channel in ready:
            command = channel.recv(1)
            if command == b"T":
                if enclosed:
                    os.kill(leader, signal.SIGTERM)
                else:
                    _signal_group(leader)
            else:  # K, or the cloud has gone
                return


def _outer(spec: dict[str, Any], channel: socket.socket) -> None:
    report = _Report(channel)
    enclosed = spec["enclose"] is not None
    call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        if enclosed:
            if spec["enclose"]["network"] is not None:
                _join(spec["enclose"]["network"])
            own_namespaces(_CLONE_NEWPID)
            leader = os.fork()
            if leader == 0:
                _init(spec, report)
        else:
            leader = _fork(lambda: _execute(spec, nested=False))
            report(event="started")
    except OSError as error:
        report(event="error", message=str(error))
        return
    _watch(channel, leader, enclosed, report)
    _end_all()
    # Of several exit events the cloud takes the first: this one counts where we did the killing.
    report(event="exit", status=int(signal.SIGKILL))


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    line = b""
    while not line.endswith(b"\n"):
        piece = channel.recv(65536)
        if not piece:
            return
        line += piece
    _outer(json.loads(line), channel)


if __name__ == "__main__":
    main()
