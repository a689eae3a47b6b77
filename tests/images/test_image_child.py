"""What of a failed process's standard error is worth a failure reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.images.child import last_words

OURS = """Traceback (most recent call last):
  File "t.py", line 3, in <module>
    raise ValueError("no pictures")
ValueError: no pictures"""
CHAINED = f"""{OURS.replace("no pictures", "first")}

During handling of the above exception, another exception occurred:

{OURS}"""
LAUNCHER = """Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
    raise ChildFailedError(
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
=====
Root Cause: Signal 9 (SIGKILL) received by PID 17
====="""
LOG = "E1121 09:39 18073 torch/distributed/elastic/multiprocessing/api.py:1002] failed"


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("", ""),
        ("\n\n", ""),
        ("too few pictures\n", "too few pictures"),
        (f"a warning\n{OURS}\n", OURS),
        (f"{CHAINED}\n", OURS),
        ("10%|#\r 50%|##\r100%|###\rerror: disk full\r\n", "error: disk full"),
        ("\n".join(map(str, range(30))), "\n".join(map(str, range(20, 30)))),
        ("x" * 5000, "x" * 700),
        (f"{OURS}\n{LOG}\n{LAUNCHER}", OURS),
        (
            "\n".join(f"[rank1]: {line}" for line in OURS.split("\n")) + f"\n{LOG}\n{LAUNCHER}",
            "\n".join(f"[rank1]: {line}" for line in OURS.split("\n")),
        ),
        (f"{LOG}\n{LAUNCHER}", LAUNCHER[LAUNCHER.index("torch.distributed") :]),
    ],
)
def test_the_words_that_say_why(stderr: str, words: str) -> None:
    assert last_words(stderr) == words


@given(st.text("ab\n\r :", max_size=3000), st.integers(10, 100))
def test_words_fit_and_are_the_end(stderr: str, size: int) -> None:
    words = last_words(stderr, size)
    assert len(words) <= size
    if stderr.strip():
        assert words.strip() == words
