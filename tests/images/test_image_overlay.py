"""requirements.txt: nothing to do, installed beside, or a clear failure."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any


def wheel(folder: Path, name: str = "ovl_demo", version: str = "1.0", body: str = "") -> Path:
    """A pure Python wheel with one module and one console script."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n{body}\ndef main():\n    print('script', VERSION)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-run = {name}:main\n",
    }
    record = "".join(f"{each},,\n" for each in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as out:
        for each, text in {**files, f"{info}/RECORD": record}.items():
            out.writestr(each, text)
    return path


USES = (
    "import subprocess, sys, ovl_demo, pytest\n"
    "print(ovl_demo.VERSION, sys.prefix)\n"
    "subprocess.run(['ovl_demo-run'], check=True)\n"
)


def test_what_is_there_is_not_installed_again(job: Any, tmp_path: Path) -> None:
    job.environ["PATH"] = "/nonexistent"
    job.script("import sys; print(sys.executable)")
    (job.code / "requirements.txt").write_text("# what the image has\npytest>=7\nHypothesis\n")
    done = job.run()
    assert done.stdout == f"{sys.executable}\n", done.stderr
    assert not (tmp_path / "overlays").exists()


def test_what_is_missing_is_installed_beside_and_found_again(job: Any, tmp_path: Path) -> None:
    job.environ["PIP_FIND_LINKS"] = str(wheel(tmp_path).parent)
    job.script(USES)
    (job.code / "requirements.txt").write_text("ovl_demo==1.0\npytest\n")
    first = job.run()
    assert first.returncode == 0, first.stderr
    version, prefix = first.stdout.splitlines()[-2].split()
    assert version == "1.0"
    assert prefix.startswith(str(tmp_path / "overlays"))
    assert first.stdout.splitlines()[-1] == "script 1.0"
    assert "Requirement already satisfied: pytest" in first.stdout
    assert not list(Path(prefix).rglob("pytest"))
    # The running environment has not changed.
    probe = "import importlib.util; assert importlib.util.find_spec('ovl_demo') is None"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
    # The second job needs neither pip nor its source.
    job.environ["PIP_FIND_LINKS"] = "/nonexistent"
    second = job.run()
    assert second.stdout == f"1.0 {prefix}\nscript 1.0\n"


def test_jobs_that_start_together_build_one_overlay(job: Any, tmp_path: Path) -> None:
    job.environ["PIP_FIND_LINKS"] = str(wheel(tmp_path).parent)
    job.script(USES)
    (job.code / "requirements.txt").write_text("ovl_demo\n")
    started = [job.start() for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], outputs
    assert sum("Successfully installed" in out for out, _ in outputs) == 1
    assert len({out.splitlines()[-2] for out, _ in outputs}) == 1


def test_a_leftover_of_a_killed_build_is_built_again(job: Any, tmp_path: Path) -> None:
    job.environ["PIP_FIND_LINKS"] = str(wheel(tmp_path).parent)
    job.script(USES)
    (job.code / "requirements.txt").write_text("ovl_demo\n")
    assert job.run().returncode == 0
    home = next(path for path in (tmp_path / "overlays").iterdir() if path.is_dir())
    (home / "fogbank-overlay-complete").unlink()
    next(home.rglob("ovl_demo.py")).unlink()
    again = job.run()
    assert again.returncode == 0, again.stderr


def test_a_wheel_in_the_code_is_installed_anew_when_it_changes(job: Any) -> None:
    job.script("import ovl_demo; print(ovl_demo.COLOUR)")
    (job.code / "requirements.txt").write_text("./ovl_demo-1.0-py3-none-any.whl\n")
    for colour in ("green", "dark blue"):
        wheel(job.code, body=f"COLOUR = {colour!r}")
        done = job.run()
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == colour


def test_what_cannot_be_installed_fails_the_job_with_pips_words(job: Any, tmp_path: Path) -> None:
    job.script("print('never')")
    (job.code / "requirements.txt").write_text("no-such-package-for-sure==1\n")
    done = job.run()
    assert done.returncode == 1
    assert job.failure.startswith("InstallRequirementsError:\nExitCode 1\nErrorMessage ")
    assert "No matching distribution found for no-such-package-for-sure==1" in job.failure
    assert "never" not in done.stdout
    assert not [path for path in (tmp_path / "overlays").iterdir() if path.is_dir()]


def test_the_inference_image_installs_too(serve: Any, environ: Any, tmp_path: Path) -> None:
    environ["PIP_FIND_LINKS"] = str(wheel(tmp_path).parent)
    code = Path(environ["SAGEMAKER_BASE_DIR"]) / "model" / "code"
    (code / "requirements.txt").write_text("ovl_demo\n")
    server = serve(
        "import ovl_demo\n"
        "def model_fn(model_dir): return ovl_demo.VERSION\n"
        "def transform_fn(model, body, content_type, accept): return model\n"
    )
    assert server.invoke(b"x").body == b"1.0"


def test_the_inference_image_ends_with_pips_words(serve: Any, environ: Any) -> None:
    code = Path(environ["SAGEMAKER_BASE_DIR"]) / "model" / "code"
    (code / "requirements.txt").write_text("no-such-package-for-sure\n")
    server = serve("", healthy=False)
    _, err = server.process.communicate(timeout=60)
    assert server.process.returncode == 1
    assert "No matching distribution found" in err.splitlines()[-2]
