"""What a requirements.txt asks for, without touching the environment that we run in.

In: a requirements.txt. Out: the interpreter to run the user's code with. That is our own where
everything is there already, else the one of an *overlay*: a virtual environment that holds what
was missing and sees all of ours behind it. Overlays are kept and found again by interpreter,
installed distributions and file content. Starts pip; pip may use the network.
"""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fogbank.images import child, requirements
from fogbank.images.errors import ContractError, InstallRequirementsError

_Add = Callable[..., None]
_COMPLETE = "fogbank-overlay-complete"
_NESTED = ("-r", "--requirement", "-c", "--constraint")


@dataclass(frozen=True)
class Interpreter:
    """A Python interpreter, and how its programs are found."""

    python: Path
    scripts: Path | None
    """The overlay's console scripts, to go first on PATH; None where there is no overlay."""

    def on(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` with the overlay's scripts first on PATH."""
        if self.scripts is None:
            return dict(environ)
        path = os.pathsep.join(filter(None, [str(self.scripts), environ.get("PATH")]))
        return {**environ, "PATH": path}


def interpreter_for(code: Path, environ: Mapping[str, str]) -> Interpreter:
    """The interpreter that has what `code`/requirements.txt asks for (the file may be absent).

    Overlays live in `environ["FOGBANK_OVERLAYS"]`, by default in a folder of this user's in the
    temporary directory. Several processes may ask for the same one: one builds, the others wait.
    Raises InstallRequirementsError with pip's last words, ContractError where the folder of the
    overlays belongs to somebody else.
    """
    own = Interpreter(Path(sys.executable), None)
    wanted = code / "requirements.txt"
    if not wanted.is_file():
        return own
    text = wanted.read_text("utf-8-sig", "replace")
    if requirements.is_satisfied(text, _installed):
        return own
    home = _home(environ) / _key(code, text, environ)
    overlay = Interpreter(home / "bin" / "python", home / "bin")
    if not (home / _COMPLETE).exists():
        _build_once(home, code, environ)
    return overlay


def _installed(name: str) -> str | None:
    from importlib import metadata  # 20 ms, for jobs with requirements only

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _home(environ: Mapping[str, str]) -> Path:
    import tempfile

    named = environ.get("FOGBANK_OVERLAYS")
    home = Path(named or Path(tempfile.gettempdir()) / f"fogbank-overlays-{os.getuid()}")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Code is run from here: in a shared /tmp somebody else could have put the folder there first.
    if home.stat().st_uid != os.getuid():
        raise ContractError(
            f"{home} belongs to another user; set FOGBANK_OVERLAYS to a folder of your own"
        )
    return home


def _key(code: Path, text: str, environ: Mapping[str, str]) -> str:
    """Differs wherever the overlay could."""
    import hashlib

    digest = hashlib.sha256()

    def add(*facts: object) -> None:
        digest.update("\0".join(map(str, facts)).encode() + b"\1")

    # PYTHONPATH counts: pip takes the distributions that it finds there for installed.
    add(sys.executable, sys.version, sys.prefix, environ.get("PYTHONPATH", ""))
    for folder in _site_folders():
        # The names hold the versions. An upgrade of ours can change what is missing.
        found = sorted(path.name for path in folder.glob("*.*-info"))
        add(folder, *found)
    add(text)
    _add_files(add, code, text, seen=set())
    return digest.hexdigest()[:32]


def _add_files(add: _Add, folder: Path, text: str, seen: set[Path]) -> None:
    """Files that the text points at: nested ones by content, projects and wheels by place and time.

    A local project may be installed editable, so an overlay with one belongs to that very folder.
    """
    for line in requirements.lines(text):
        option, _, rest = line.replace("=", " ", 1).partition(" ")
        if option in _NESTED:
            nested = folder / rest.strip()
            if nested.is_file() and nested.resolve() not in seen:
                seen.add(nested.resolve())
                content = nested.read_text("utf-8-sig", "replace")
                add("nested", rest, content)
                _add_files(add, nested.parent, content, seen)
            continue
        for word in line.split():
            place = folder / word.split("[")[0].removeprefix("file:")
            if ("/" in word or word.startswith(".")) and place.exists():
                add("local", place.resolve())
                files = sorted(place.rglob("*")) if place.is_dir() else [place]
                for path in files:
                    stat = path.stat()
                    if path.is_file():
                        add(path, stat.st_size, stat.st_mtime_ns)


def _site_folders() -> list[Path]:
    """Where our own environment keeps its packages, in the order in which it looks."""
    import sysconfig

    folders = [
        *site.getsitepackages(),
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
    ]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return [Path(folder) for folder in dict.fromkeys(folders) if Path(folder).is_dir()]


def _build_once(home: Path, code: Path, environ: Mapping[str, str]) -> None:
    import fcntl
    import shutil

    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (home / _COMPLETE).exists():
            return
        # Built in its place, not renamed into it: the first line of every console script names its
        # interpreter by path. The marker is what makes it count; a leftover without one is redone.
        shutil.rmtree(home, ignore_errors=True)
        try:
            _build(home, code, environ)
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise
        (home / _COMPLETE).touch()


def _build(home: Path, code: Path, environ: Mapping[str, str]) -> None:
    import importlib.util
    import venv

    # Our pip serves the overlay too; only where we have none does it get its own.
    with_pip = importlib.util.find_spec("pip") is None
    venv.EnvBuilder(symlinks=True, with_pip=with_pip).create(home)
    packages = next((home / "lib").glob("python*/site-packages"))
    # addsitedir, not a bare path: our own .pth files (editable installs) count as well.
    behind = "".join(
        f"import site; site.addsitedir({str(folder)!r})\n" for folder in _site_folders()
    )
    (packages / "fogbank-behind.pth").write_text(behind)
    command = [str(home / "bin" / "python"), "-m", "pip", "install", "-r", "requirements.txt"]
    quiet = ["--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
    ended = child.run([*command, *quiet], env=environ, cwd=code)
    if ended.exit_code != 0:
        raise InstallRequirementsError(
            " ".join(command), ended.exit_code, child.last_words(ended.stderr_tail)
        )
