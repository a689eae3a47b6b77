"""The process between the cloud and an instance's program. Runs alone: `python -I -S enter.py FD`.

In: file descriptor FD, a socket to the cloud. Its first line is a JSON object:
    {"argv", "env", "cwd", "cpus", "nice", "address",
     "enclose": {"views": [[source, target, scratch]], "hidden": [path], "kept": [path],
                 "opt_ml": path | null} | null}
Then single bytes: T asks for SIGTERM to the program's process group, K for the end of everything.
Out: on the socket, JSON lines: {"event": "started"}, {"event": "error", "message"} or
{"event": "exit", "status"} (a wait status). Standard output and error go to the program untouched.

Three promises. When the program ends, every process that it left is killed, wherever it went: this
process is their subreaper. When the cloud ends, also by SIGKILL, the socket closes and everything
is killed. And with "enclose", the program runs in user, mount and process namespaces of its own in
which `hidden` is empty, `views` are overlays whose lower layers nobody can reach, and `opt_ml` is
at /opt/ml, as in a container:

    cloud ── enter (outer) ── init: pid 1, mounts ── program: a second, nested pair of namespaces

A mount that is inherited by a less privileged user namespace is locked (mount_namespaces(7)): in
the nested pair not even uid 0 can unmount or remount it. The program's uids are the cloud's own.

Standard library only, no imports of Fogbank; starts in about 15 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import stat
import sys
from collections.abc import Callable
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 32, 4096, 16384, 1 << 18

_MOUNT_SETATTR, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, 0x8000, 1

_OPT, _ML = "/opt", "ml"
_ENTRY = os.O_PATH | os.O_NOFOLLOW

_libc = ctypes.CDLL(None, use_errno=True)


def children(pid: int) -> list[int]:
    """The direct children of all threads of a process; none where it is gone."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - no pathlib here: start-up time
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:  # noqa: PTH123
                found += map(int, file.read().split())
    return found


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, parents before children."""
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in children(parent)]
        found += level
    return found


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        shown = ", ".join(repr(value) for value in arguments if value is not None)
        raise OSError(number, f"{name}({shown}): {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    _call(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        os.fsencode(options) if options else None,
    )


def _own_namespaces(flags: int) -> None:
    """Enter new namespaces in which this user keeps its uid and gid and has every capability."""
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", _CLONE_NEWUSER | flags)
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
    _call("unshare", _CLONE_NEWNS)
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
    for hidden in enclose["hidden"]:
        inside = [path for path in enclose["kept"] if path.startswith(hidden + "/")]
        # Opened before the cover goes on; /proc/self/fd leads below the cover afterwards.
        handles = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in inside]
        _mount("fogbank", hidden, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
        for path, handle in zip(inside, handles, strict=True):
            os.makedirs(path, exist_ok=True)  # noqa: PTH103
            _mount(f"/proc/self/fd/{handle}", path, None, _MS_BIND | _MS_REC)
            os.close(handle)
        _seal(hidden)
    if enclose["opt_ml"] is not None:
        _place_opt_ml(enclose["opt_ml"])


def _seal(path: str) -> None:
    """Make a cover of ours read-only."""
    read_only = _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV
    _mount("fogbank", path, None, read_only)


def _place_opt_ml(base: str) -> None:
    """Show `base` at /opt/ml. Nothing of it comes to the host: where there is no such folder, /opt
    is covered by one of ours with everything that the host's has, and `ml`."""
    source = os.open(base, os.O_PATH | os.O_DIRECTORY)
    if not os.path.isdir(f"{_OPT}/{_ML}"):  # noqa: PTH112
        entries = {name: os.open(f"{_OPT}/{name}", _ENTRY) for name in os.listdir(_OPT)}  # noqa: PTH208
        _mount("fogbank", _OPT, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
        for name, handle in entries.items():
            _show_again(handle, f"{_OPT}/{name}")
            os.close(handle)
        os.mkdir(f"{_OPT}/{_ML}")  # noqa: PTH102
        _seal(_OPT)
    _mount(f"/proc/self/fd/{source}", f"{_OPT}/{_ML}", None, _MS_BIND | _MS_REC)
    os.close(source)


def _show_again(handle: int, path: str) -> None:
    """Put what was opened before a cover went on at `path` on the cover."""
    mode = os.fstat(handle).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink("", dir_fd=handle), path)  # noqa: PTH211
        return
    if stat.S_ISDIR(mode):
        os.mkdir(path)  # noqa: PTH102
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    _mount(f"/proc/self/fd/{handle}", path, None, _MS_BIND | _MS_REC)


def _read_only(path: str) -> None:
    """Make a mount and those below it read-only (mount_setattr(2))."""
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    _call("syscall", _MOUNT_SETATTR, -1, os.fsencode(path), _AT_RECURSIVE, attributes, 32)


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
        _own_namespaces(_CLONE_NEWNS)
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
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
        _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _enclose(spec["enclose"])
        program = _fork(lambda: _execute(spec, nested=True))
    except OSError as error:
        report(event="error", message=str(error))
        os._exit(0)
    signal.signal(signal.SIGTERM, lambda *_: _signal_group(program))
    report(event="started")
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == program:
            report(event="exit", status=status)
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
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            if pid == leader:
                if not enclosed:
                    report(event="exit", status=status)
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
    _call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        if enclosed:
            _own_namespaces(_CLONE_NEWPID)
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
