"""`make demo`: from a folder of pictures to a served prediction, command by command.

Everything stays in ./demo: the project, and the cloud's folder. Run it again and nothing is done
twice. At the end the endpoint still serves; the last lines say how to try it and how to stop it.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "demo"
PROJECT = ROOT / "digits"
FOGBANK = Path(sys.executable).with_name("fogbank")


def free_port() -> int:
    """4566 where nobody uses it, else any."""
    for port in (4566, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("no free port on 127.0.0.1")


def say(*arguments: str) -> None:
    command = f"$ fogbank {shlex.join(arguments)}"
    print(f"\n\033[1m{command}\033[0m" if sys.stdout.isatty() else f"\n{command}", flush=True)


def fogbank(*arguments: str, environment: dict[str, str], folder: Path) -> None:
    say(*arguments)
    code = subprocess.run([FOGBANK, *arguments], env=environment, cwd=folder).returncode
    if code:
        raise SystemExit(code)


def main() -> None:
    started = time.monotonic()
    ROOT.mkdir(exist_ok=True)
    port_file = ROOT / "port"
    if not port_file.exists():
        port_file.write_text(str(free_port()))
    environment = {
        **os.environ,
        "FOGBANK_HOME": os.environ.get("FOGBANK_HOME", str(ROOT / "cloud")),
        "FOGBANK_PORT": os.environ.get("FOGBANK_PORT", port_file.read_text()),
    }
    fogbank("cloud", "start", environment=environment, folder=ROOT)
    if not (PROJECT / "fogbank.yaml").exists():
        fogbank("init", str(PROJECT), "--sample", "digits", environment=environment, folder=ROOT)
    fogbank("up", environment=environment, folder=PROJECT)
    picture = sorted((PROJECT / "data" / "test" / "7").glob("*.png"))[0]
    fogbank("invoke", str(picture.relative_to(PROJECT)), environment=environment, folder=PROJECT)
    settings = " ".join(
        f"{name}={shlex.quote(environment[name])}" for name in ("FOGBANK_HOME", "FOGBANK_PORT")
    )
    print(
        f"\nDone in {time.monotonic() - started:.0f} s. The endpoint still serves. To go on:\n\n"
        f"  export {settings}\n"
        f"  export PATH={shlex.quote(str(FOGBANK.parent))}:$PATH\n"
        f"  cd {shlex.quote(str(PROJECT))}\n"
        "  fogbank status              what runs, and where it is\n"
        "  fogbank function logs       what the function in front of the endpoint wrote\n"
        '  eval "$(fogbank env)"       boto3 and the aws command line now talk to this cloud\n'
        "  fogbank down                remove the function, the endpoint and the roles\n"
        "  fogbank cloud stop          stop the cloud; its state stays in FOGBANK_HOME\n"
    )


if __name__ == "__main__":
    main()
