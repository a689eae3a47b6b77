"""Put the user's code into the code folder. In: a Job. Out: files below `code/`.

Does nothing where the code folder already has something in it: then the machine put it there.
"""

from __future__ import annotations

import time
from pathlib import Path

from fogbank.images.errors import ContractError
from fogbank.images.training.contract import Job


def place_code(job: Job, now: time.struct_time) -> None:
    """Bring what `sagemaker_submit_directory` names: a folder, a script, an archive (also on S3).

    `now` is UTC and signs the request for an s3:// URI. Raises ContractError where nothing is
    there, ArchiveError and FetchError as those who do the work.
    """
    code = job.folders.code
    code.mkdir(parents=True, exist_ok=True)
    if any(code.iterdir()):
        return
    # Imported here: where the machine placed the code, the start does not pay for them.
    import shutil
    import tempfile

    from fogbank.images import archive, s3

    source = job.submit_directory
    if source.startswith("s3://"):
        with tempfile.TemporaryDirectory() as folder:
            fetched = Path(folder) / "sourcedir.tar.gz"
            s3.fetch(source, fetched, job.environ, now)
            archive.unpack(fetched, code)
        return
    path = Path(source)
    if path == code:
        raise ContractError(
            f"{code} is empty and hyperparameter sagemaker_submit_directory names no code: set it "
            "to an s3:// archive, or have the machine put the code there"
        )
    if path.is_dir():
        shutil.copytree(path, code, dirs_exist_ok=True)
    elif not path.is_file():
        raise ContractError(
            f"hyperparameter sagemaker_submit_directory names {source!r}, which does not exist"
        )
    elif archive.is_archive(path):
        archive.unpack(path, code)
    else:
        shutil.copy2(path, code)
