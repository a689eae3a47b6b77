"""Functions as real processes: what they see, how they fail, what is left."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloud.machines.functions.function_site import FunctionSite, until
from cloud.machines.training_site import ROLE
from fogbank.cloud.machines.process_instance import MARK, RECORD
from fogbank.cloud.ports import FunctionUnavailable
from fogbank.cloud.records.function import LATEST, FunctionVersion, LayerVersion

GROUP = "/aws/lambda/f"


def processes(site: FunctionSite) -> list[psutil.Process]:
    """The Python processes of its environments, not of another cloud that tests run beside it."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            command = process.cmdline()
            is_runtime = "awslambdaric" in command and command[0] != "/bin/sh"
            if is_runtime and process.environ()[MARK].startswith(str(site.home)):
                found.append(process)
        except psutil.Error:
            continue  # it has ended meanwhile
    return found


async def log_of(site: FunctionSite, end: str = "REPORT") -> list[str]:
    """The only stream of the function, once a line that starts so is readable."""

    def probe() -> list[str]:
        lines = site.logs.lines
        return lines if any(line.startswith(end) for line in lines) else []

    found: list[str] = await until(probe, f"{end} in the log")
    return found


# -- what a function sees --------------------------------------------------------------------------


@pytest.mark.docs
async def test_what_a_function_sees(each: FunctionSite) -> None:
    each.create(
        "f",
        """
        import os, sys
        def handler(event, context):
            print(context)
            mine = ("AWS_", "LAMBDA_", "_H", "OWN", "TZ")
            names = [n for n in os.environ if n.startswith(mine)]
            return {"event": event, "cwd": os.getcwd(), "files": sorted(os.listdir()),
                    "env": {n: os.environ[n] for n in names}, "path": sys.path[0],
                    "left_ms": context.get_remaining_time_in_millis(),
                    "client": context.client_context and context.client_context.custom}
        """,
        environment={"OWN": "mine"},
        timeout_s=7,
    )
    answer = await each.answer("f", {"a": ["ü"]}, client_context='{"custom": {"k":\n "v"}}')
    env = answer["env"]
    assert answer["event"] == {"a": ["ü"]}
    assert [name for name in answer["files"] if name != "__pycache__"] == ["app.py"]
    assert answer["cwd"] == answer["path"] == env["LAMBDA_TASK_ROOT"]
    if each.engine.can_mount:
        assert answer["cwd"] == "/var/task"
    assert 6000 < answer["left_ms"] <= 7000
    assert answer["client"] == {"k": "v"}
    expected = {
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": LATEST,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": GROUP,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "ASIATEST",
        "_HANDLER": "app.handler",
        "OWN": "mine",
        "TZ": ":UTC",
    }
    assert {name: env[name] for name in expected} == expected
    stream = env["AWS_LAMBDA_LOG_STREAM_NAME"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    assert list(each.logs.streams) == [] or list(each.logs.streams) == [(GROUP, stream)]
    await log_of(each)
    (context,) = [line for line in each.logs.lines if line.startswith("LambdaContext")]
    assert context.startswith(
        f"LambdaContext([aws_request_id=call-2,log_group_name={GROUP},log_stream_name={stream},"
        f"function_name=f,memory_limit_in_mb=128,function_version={LATEST},"
        "invoked_function_arn=arn:aws:lambda:us-east-1:123456789012:function:f,client_context="
    )


@pytest.mark.docs
async def test_globals_and_tmp_are_kept_between_calls(functions: FunctionSite) -> None:
    functions.create(
        "f",
        """
        import os
        calls = 0
        def handler(event, context):
            global calls
            calls += 1
            folder = os.environ.get("TMPDIR", "/tmp")
            with open(folder + "/kept", "a") as file:
                file.write("x")
            return [calls, open(folder + "/kept").read(), os.getpid()]
        """,
    )
    first = await functions.answer("f")
    second = await functions.answer("f")
    assert (first[:2], second[:2]) == ([1, "x"], [2, "xx"])
    assert first[2] == second[2]
    assert len(functions.folders) == 1


@pytest.mark.docs
async def test_tmp_survives_a_crash_and_globals_do_not(each: FunctionSite) -> None:
    each.create(
        "f",
        """
        import os
        calls = 0
        def handler(event, context):
            global calls
            calls += 1
            path = os.environ.get("TMPDIR", "/tmp") + "/kept"
            if event:
                open(path, "w").write("x")
                os._exit(3)
            return [calls, os.path.exists(path)]
        """,
    )
    assert (await each.failure("f", True))["errorType"] == "Runtime.ExitError"
    assert await each.answer("f", False) == [1, True]
    assert len(each.logs.streams) <= 1
    reports = [line for line in await log_of(each) if line.startswith("REPORT")]
    await until(lambda: sum(x.startswith("REPORT") for x in each.logs.lines) == 2, "reports")
    reports = [line for line in each.logs.lines if line.startswith("REPORT")]
    assert ["Init Duration" in line for line in reports] == [True, False]
    assert len(each.logs.streams) == 1, "one environment"


async def test_code_cannot_be_changed(each: FunctionSite) -> None:
    """Another environment of the same code sees what was deployed."""
    each.create(
        "f",
        """
        def handler(event, context):
            try:
                open("app.py", "a").write("# changed")
            except OSError as error:
                return str(error)
            return "written"
        """,
    )
    said = await each.answer("f")
    stored = each.records.get(FunctionVersion, f"f:{LATEST}")
    assert stored is not None
    folder = await each.code.folder(stored.code_sha256)
    assert "# changed" not in (folder / "app.py").read_text().replace('"# changed"', "")
    if each.engine.can_mount:
        assert "Read-only file system" in said


@pytest.mark.docs
async def test_layers(each: FunctionSite) -> None:
    digest = each.code.add({"python/helper.py": "WORD = 'from a layer'", "data": "x"})
    layer = LayerVersion(
        layer="l",
        version=1,
        arn="arn:l:1",
        code_sha256=digest,
        code_size_bytes=1,
        created=each.clock.now(),
    )
    each.records.put(layer)
    each.create(
        "f",
        "import helper, os\ndef handler(e, c): return [helper.WORD, os.path.exists('/opt/data')]",
        layers=("arn:l:1",),
    )
    assert await each.answer("f") == ["from a layer", each.engine.can_mount]
    assert not Path("/opt/data").exists()


async def test_it_does_not_see_the_cloud(functions: FunctionSite) -> None:
    functions.create("f", "import os\ndef handler(e, c): return sorted(os.listdir(e))")
    if not functions.engine.can_mount:
        pytest.skip("this engine hides nothing")
    seen = await functions.answer("f", str(functions.home))
    assert "objects" not in seen
    assert "records.db" not in seen
    assert await functions.answer("f", str(functions.home / "instances" / "functions")) == [
        functions.folders[0].name
    ]


# -- the log ---------------------------------------------------------------------------------------


@pytest.mark.observed
async def test_the_log_of_a_cold_and_a_warm_call(functions: FunctionSite) -> None:
    functions.create(
        "f",
        """
        import subprocess, sys
        print("loading")
        def handler(event, context):
            print("out", event)
            print("err", file=sys.stderr)
            subprocess.run(["echo", "from a child"])
            sys.stdout.write("no end")
            return 1
        """,
    )
    cold = await functions.invoke("f", 1)
    warm = await functions.invoke("f", 2)
    await until(lambda: sum(x.startswith("REPORT") for x in functions.logs.lines) == 2, "reports")
    lines = functions.logs.lines
    assert [re.split(r"[ \t\n]", line)[0] for line in lines] == [
        *("INIT_START", "loading"),
        *("START", "out", "err", "from", "no", "END", "REPORT"),
        *("START", "out", "err", "from", "no", "END", "REPORT"),
    ]
    assert re.fullmatch(
        r"INIT_START Runtime Version: python:3\.\d+\.v\d+\t"
        r"Runtime Version ARN: arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}\n",
        lines[0],
    )
    figures = r"Duration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory "
    assert re.search(figures + r"Used: \d+ MB\tInit Duration: [\d.]+ ms\t\n$", lines[8])
    assert re.search(figures + r"Used: \d+ MB\t\n$", lines[15])
    assert cold.log_tail.decode() == "".join(lines[2:9])
    assert warm.log_tail.decode() == "".join(lines[9:])


async def test_all_that_a_call_printed_is_before_its_end(functions: FunctionSite) -> None:
    functions.create(
        "f",
        """
        import os
        def handler(event, context):
            for _ in range(60):
                os.write(1, (b"x" * 99 + b"\\n") * 600)
        """,
        timeout_s=60,
    )
    await functions.answer("f")
    lines = await log_of(functions)
    assert [line.split(" ")[0] for line in lines[-2:]] == ["END", "REPORT"]
    assert sum(line.startswith("x") for line in lines) == 60 * 600


@pytest.mark.docs
async def test_billed_duration_includes_the_init(functions: FunctionSite) -> None:
    functions.create("f", "def handler(e, c): return 1")
    await functions.answer("f")
    report = next(line for line in await log_of(functions) if line.startswith("REPORT"))
    found = {
        name: float(value) for name, value in re.findall(r"([A-Z][A-Za-z ]+): ([\d.]+) ms", report)
    }
    assert 0 <= found["Billed Duration"] - found["Duration"] - found["Init Duration"] < 1.02


# -- failures --------------------------------------------------------------------------------------

FAILURES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "handler not found": (
        "def other(e, c): pass",
        {},
        "Runtime.HandlerNotFound",
        "Handler 'handler' missing on module 'app'",
    ),
    "no such module": (
        "",
        {"handler": "absent.handler"},
        "Runtime.ImportModuleError",
        "Unable to import module 'absent': No module named 'absent'",
    ),
    "numpy is not there": (
        "import numpy",
        {},
        "Runtime.ImportModuleError",
        "Unable to import module 'app': No module named 'numpy'",
    ),
    "syntax error": (
        "def handler(e, c) return 1",
        {},
        "Runtime.UserCodeSyntaxError",
        "Syntax error in module 'app': expected ':' (app.py, line 1)",
    ),
    "exception": (
        "def handler(e, c): raise KeyError('dogs')",
        {},
        "KeyError",
        "'dogs'",
    ),
    "not JSON": (
        "def handler(e, c): return object()",
        {},
        "Runtime.MarshalError",
        "Unable to marshal response: Object of type object is not JSON serializable",
    ),
    "os._exit": (
        "import os\ndef handler(e, c): os._exit(7)",
        {},
        "Runtime.ExitError",
        "RequestId: ID Error: Runtime exited with error: exit status 7",
    ),
    "exit in the init": (
        "import os\nos._exit(5)",
        {},
        "Runtime.ExitError",
        "RequestId: ID Error: Runtime exited with error: exit status 5",
    ),
    "time-out": (
        "import time\ndef handler(e, c): time.sleep(60)",
        {"timeout_s": 1},
        "Sandbox.Timedout",
        "RequestId: ID Error: Task timed out after 1.00 seconds",
    ),
    "too much memory": (
        "def handler(e, c):\n    x = bytearray(400 << 20)\n    while True: x[0] = 1",
        {},
        "Runtime.OutOfMemory",
        "RequestId: ID Error: Runtime exited with error: signal: killed",
    ),
    "response over 6 MB": (
        "def handler(e, c): return 'x' * 6_300_000",
        {},
        "Function.ResponseSizeTooLarge",
        "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    ),
}


@pytest.mark.observed
@pytest.mark.parametrize("name", FAILURES)
async def test_failures(functions: FunctionSite, name: str) -> None:
    """The caller gets AWS's payload, the log says it, and the next call works as the first did."""
    code, settings, kind, message = FAILURES[name]
    functions.create("f", code, **settings)
    result = await functions.invoke("f")
    found = json.loads(result.payload)
    request_id = re.search(r"START RequestId: (\S+)", result.log_tail.decode())
    assert result.error == "Unhandled"
    assert found["errorType"] == kind
    if request_id is not None:  # the tail of a long traceback begins after it
        message = message.replace("ID", request_id[1])
    assert found["errorMessage"] == message
    assert b"\nEND RequestId" in result.log_tail
    report = result.log_tail.decode().rsplit("REPORT", 1)[1]
    if kind == "Sandbox.Timedout":
        assert "Task timed out after 1.00 seconds" in result.log_tail.decode()
        assert "Duration: 1000.00 ms" in report
        assert report.endswith("Status: timeout\t\n")
    elif kind.startswith(("Runtime.", "Function.")) and kind != "Runtime.MarshalError":
        assert report.endswith(f"Status: error\tError Type: {kind}\t\n")
    else:
        assert "Status" not in report
    again = json.loads((await functions.invoke("f")).payload)
    assert again["errorType"] == kind
    assert functions.metric("Invocations", FunctionName="f") == [1, 1]
    assert functions.metric("Errors", FunctionName="f") == [1, 1]
    assert len(functions.folders) <= 1


@pytest.mark.observed
async def test_a_failed_init_is_tried_again_with_the_call(functions: FunctionSite) -> None:
    functions.create("f", "import numpy")
    await functions.failure("f")
    words = [re.split(r"[ \t\n]", line)[0] for line in await log_of(functions)]
    init = ["[WARNING]", "[ERROR]", "INIT_REPORT"]
    assert [w for w in words if w != ""] == [
        *("INIT_START", *init, *init),
        *("START", "END", "REPORT"),
    ]
    phases = [line for line in functions.logs.lines if line.startswith("INIT_REPORT")]
    assert ["Phase: init\t" in phases[0], "Phase: invoke\t" in phases[1]] == [True, True]
    assert all("Status: error\tError Type: Runtime.ImportModuleError" in one for one in phases)


async def test_an_environment_that_is_killed_in_the_middle(functions: FunctionSite) -> None:
    functions.create("f", "import os, time\ndef handler(e, c): e and time.sleep(60); return 1")
    call = asyncio.create_task(functions.failure("f", True))
    started = lambda: any(line.startswith("START ") for line in functions.logs.lines)  # noqa: E731
    await until(started, "the handler to have the event")
    (process,) = processes(functions)
    folders = functions.folders
    process.send_signal(signal.SIGKILL)
    found = await call
    assert found["errorType"] == "Runtime.ExitError"
    assert found["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert await functions.answer("f", False) == 1
    assert functions.folders != folders, "the next call gets a new environment"


@pytest.mark.parametrize("known", [True, False])
async def test_an_environment_that_died_while_it_had_nothing_to_do(
    functions: FunctionSite, known: bool
) -> None:
    functions.create("f", "def handler(e, c): return 1", timeout_s=20)
    await functions.answer("f")
    (process,) = processes(functions)
    (folder,) = functions.folders
    process.kill()
    process.wait(10)  # the event loop stands still meanwhile: it has not heard of the end
    if known:
        await until(lambda: not (folder / RECORD).exists(), "the engine to know its end")
    await functions.answer("f")
    assert functions.metric("Errors", FunctionName="f") == [0, 0]
    assert len(processes(functions)) == 1


async def test_role_or_code_that_has_gone(functions: FunctionSite) -> None:
    functions.create("f", "def handler(e, c): return 1", role_arn=f"{ROLE}-that-was-deleted")
    with pytest.raises(FunctionUnavailable, match="does not exist"):
        await functions.invoke("f")
    functions.create("g", "", code_sha256="bm9uZQ==")
    with pytest.raises(FunctionUnavailable):
        await functions.invoke("g")
    with pytest.raises(LookupError):
        await functions.invoke("absent")
    assert functions.functions.concurrent_executions("f") == 0


async def test_a_caller_that_goes_away_does_not_end_the_call(functions: FunctionSite) -> None:
    functions.create("f", "import time\ndef handler(e, c): time.sleep(0.3); return 1")
    call = asyncio.create_task(functions.invoke("f"))
    await until(lambda: functions.functions.concurrent_executions("f") == 1, "the call")
    call.cancel()
    await until(lambda: functions.metric("Invocations", FunctionName="f") == [1], "its end")
    assert functions.metric("Errors", FunctionName="f") == [0]


# -- rest ------------------------------------------------------------------------------------------


@pytest.mark.docs
async def test_between_calls_it_is_frozen(functions: FunctionSite) -> None:
    functions.create(
        "f",
        """
        import threading, time
        ticks = 0
        def tick():
            global ticks
            while True:
                ticks += 1
                time.sleep(0.001)
        threading.Thread(target=tick, daemon=True).start()
        def handler(event, context):
            return ticks
        """,
    )
    await functions.answer("f")
    (process,) = processes(functions)
    await until(lambda: process.status() == psutil.STATUS_STOPPED, "frozen")
    before = await functions.answer("f")
    await until(lambda: process.status() == psutil.STATUS_STOPPED, "frozen again")
    await asyncio.sleep(0.3)
    assert await functions.answer("f") - before < 100, "it did not run in the 300 ms between"


async def test_new_code_is_used_at_once(functions: FunctionSite) -> None:
    functions.create("f", "def handler(e, c): return 'old'")
    assert await functions.answer("f") == "old"
    (old,) = functions.folders
    functions.create("f", "def handler(e, c): return 'new'")
    assert await functions.answer("f") == "new"
    await until(lambda: old not in functions.folders, "the old environment to go")


@pytest.mark.docs
async def test_new_code_while_the_old_one_starts(functions: FunctionSite) -> None:
    """Who called before the update gets the old code, not an error."""
    starts = "import time\nprint('starts', flush=True)\ntime.sleep(0.3)\n"
    functions.create("f", f"{starts}def handler(e, c): return 'old'")
    call = asyncio.create_task(functions.answer("f"))
    await until(lambda: "starts\n" in functions.logs.lines, "the init")
    functions.create("f", "def handler(e, c): return 'new'")
    assert await call == "old"
    assert await functions.answer("f") == "new"


async def test_idle_environments_are_ended(functions: FunctionSite, tmp_path: Path) -> None:
    site = FunctionSite(
        tmp_path / "idle", functions.clock, functions.engine, idle_limit_s=0.2, network=67 << 8
    )
    await site.start()
    site.create("f", "def handler(e, c): return 1")
    await site.answer("f")
    await until(lambda: not site.folders, "its end")
    assert await site.answer("f") == 1
    await site.functions.stop()


@pytest.mark.parametrize("where", ["the init", "the handler"])
async def test_a_call_in_the_middle_of_a_stop(functions: FunctionSite, where: str) -> None:
    sleep = "import time\nprint('sleeps', flush=True)\ntime.sleep(60)"
    if where == "the handler":
        sleep = "def handler(e, c):\n    import time\n    print('sleeps')\n    time.sleep(60)"
    functions.create("f", sleep, timeout_s=60)
    call = asyncio.create_task(functions.invoke("f"))
    await until(lambda: "sleeps\n" in functions.logs.lines, "the call")
    await functions.functions.stop()
    if where == "the init":
        with pytest.raises(FunctionUnavailable):
            await call
    else:
        assert (await call).error == "Unhandled"
    assert processes(functions) == []
    assert functions.folders == []
