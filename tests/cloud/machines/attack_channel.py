"""A program that tries to change an object of its channel, by every way that it can think of.

Arguments: the channel's folder, then paths of the object in the store and in the tree of links.
Run as an instance's program, as the cloud's own user (root, where the cloud is root). What it tries
is printed; whether anything worked is for the test to see, in the object.
"""

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

EVIL = b"evil"
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MNT_DETACH, MS_REMOUNT, MS_BIND, MS_REC, MS_MOVE = 2, 32, 4096, 16384, 8192


def write_through_a_link(path: str) -> None:
    os.link(path, "code/linked")
    Path("code/linked").write_bytes(EVIL)


def spoil(path: str) -> None:
    """Everything that changes a file, and what replaces it."""
    actions: list[Callable[[], object]] = [
        lambda: Path(path).chmod(0o666),
        lambda: Path(path).write_bytes(EVIL),
        lambda: os.truncate(path, 1),
        lambda: os.pwrite(os.open(path, os.O_RDWR), EVIL, 0),
        lambda: os.utime(path, (1, 1)),
        lambda: os.setxattr(path, "user.evil", EVIL),
        lambda: os.chown(path, os.getuid(), os.getgid()),
        lambda: write_through_a_link(path),
        lambda: Path(path).rename(path + ".moved"),
        lambda: Path(path).unlink(),
        lambda: Path(path).write_bytes(EVIL),
    ]
    for number, action in enumerate(actions):
        try:
            action()
            print("did", number, path)
        except OSError as error:
            print("no", number, path, error.strerror)
        Path("code/linked").unlink(missing_ok=True)


def mounts() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sorted({line.split()[4] for line in lines}, key=len, reverse=True)


def unmount() -> None:
    for point in mounts():
        if "fogbank" in Path("/proc/self/mountinfo").read_text() and point != "/proc":
            path = point.encode()
            libc.umount2(path, 0)
            libc.umount2(path, MNT_DETACH)
            libc.mount(None, path, None, MS_REMOUNT | MS_BIND, None)
            libc.mount(None, path, None, MS_REMOUNT, b"lowerdir=/")


def main() -> None:
    channel, *objects = sys.argv[1:]
    name = Path(objects[0]).name
    views = [str(path) for path in Path(channel).rglob("*") if path.is_file()]
    processes = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    ways = [*objects]
    for pid in {*processes, "1", str(os.getppid()), "self", "thread-self"}:
        ways += [f"/proc/{pid}/root{path}" for path in objects]
        ways += [f"/proc/{pid}/cwd/../../../../../{name}"]
        with contextlib.suppress(OSError):
            ways += [f"{handle}/{name}" for handle in Path(f"/proc/{pid}/fd").iterdir()]
    for path in ways:
        spoil(path)
    unmount()
    for path in [*objects, *views]:
        spoil(path)
    # Binding what is around the covers shows what is below them, where that is allowed.
    Path("code/below").mkdir()
    for flags in (MS_BIND, MS_BIND | MS_REC, MS_MOVE):
        for root in {"/", *(str(Path(path).parent) for path in objects)}:
            libc.mount(root.encode(), b"code/below", None, flags, None)
            for path in objects:
                spoil("code/below" + path)
                spoil(f"code/below/{name}")
            libc.umount2(b"code/below", MNT_DETACH)
    # Namespaces of its own give capabilities over nothing that was there before.
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0:
        with contextlib.suppress(OSError):
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {os.getuid()} 1")
        unmount()
        for path in [*objects, *views]:
            spoil(path)
    subprocess.run(["sh", "-c", "echo '|/bin/false' > /proc/sys/kernel/core_pattern"], check=False)
    for device in Path("/dev").iterdir():
        if device.is_block_device():
            print("did see a disk:", device)
    print("over")


if __name__ == "__main__":  # never by an import: it spoils what its arguments name
    main()
