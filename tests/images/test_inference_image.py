"""The inference image as a machine starts it: a process that serves a model folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

ECHO = """
import json, os

def model_fn(model_dir):
    return {"dir": model_dir}

def input_fn(body, content_type):
    return [type(body).__name__, len(body), content_type]

def predict_fn(data, model):
    return data + [model["dir"]]

def output_fn(prediction, accept):
    return json.dumps(prediction + [accept])
"""


MIRROR = """
def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    return body
"""


def model_dir(environ: dict[str, str]) -> Path:
    return Path(environ["SAGEMAKER_BASE_DIR"]) / "model"


@pytest.mark.observed
@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", "str"),
        ("text/csv", "str"),
        ("application/json; charset=utf-8", "str"),
        ("application/x-image", "bytes"),
        ("image/jpeg", "bytes"),
        ("text/plain", "bytes"),
        ("application/x-npy", "bytes"),
    ],
)
def test_the_four_functions_are_called_in_turn(
    serve: Any, environ: Any, content_type: str, kind: str
) -> None:
    server = serve(ECHO)
    answer = server.invoke(b"[1, 2]", Content_Type=content_type, Accept="application/json")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == [
        *(kind, 6, content_type),
        *(str(model_dir(environ)), "application/json"),
    ]


@pytest.mark.observed
def test_accept_falls_back_to_the_default(serve: Any) -> None:
    server = serve(ECHO, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv")
    for headers in ({}, {"Accept": "*/*"}):
        answer = server.invoke(b"x", Content_Type="a/b", **headers)
        assert answer.headers["content-type"] == "text/csv"
        assert json.loads(answer.body)[-1] == "text/csv"
    assert json.loads(server.invoke(b"x").body)[:3] == ["bytes", 1, None]


@pytest.mark.observed
def test_output_may_name_its_content_type_and_be_anything(serve: Any) -> None:
    server = serve(
        "def model_fn(d):\n"
        "    return {'text': ('t', 'text/x'), 'bytes': b'b', 'buffer': bytearray(b'c'),\n"
        "        'dict': {'a': [1]}, 'bad': object()}\n"
        "def transform_fn(model, body, content_type, accept): return model[body.decode()]\n"
    )
    assert server.invoke(b"text").headers["content-type"] == "text/x"
    assert server.invoke(b"bytes").body == b"b"
    assert server.invoke(b"buffer").body == b"c"
    assert server.invoke(b"dict").body == b'{"a": [1]}'
    assert server.invoke(b"bad").status == 500


@pytest.mark.observed
def test_functions_that_take_one_more_get_the_context(serve: Any, environ: Any) -> None:
    server = serve(
        "def model_fn(model_dir, context):\n"
        "    return context.system_properties.get('model_dir') == model_dir\n"
        "def input_fn(body, content_type, context): return context\n"
        "def predict_fn(data, model, context): return [model, data is context]\n"
        "def output_fn(prediction, accept, context):\n"
        "    context.set_response_status(code=202, phrase='later')\n"
        "    context.set_response_header(0, 'X-Mine', 'yes')\n"
        "    name = 'X-Amzn-SageMaker-Custom-Attributes'\n"
        "    first = context.request_processor[0]\n"
        "    return str(prediction + [context.get_request_header(0, name),\n"
        "        first.get_request_properties().get(name.lower()),\n"
        "        context.get_all_request_header(0)['CONTENT-TYPE'],\n"
        "        context.system_properties['gpu_id'], context.model_name])\n",
        CUDA_VISIBLE_DEVICES="0,1",
    )
    answer = server.call(
        *("POST", "/invocations", b"x"),
        {"x-amzn-sagemaker-custom-attributes": "trace=1", "Content-Type": "a/b"},
    )
    assert answer.status == 202
    assert answer.headers["x-mine"] == "yes"
    assert answer.body == b"[True, True, 'trace=1', 'trace=1', 'a/b', 0, 'model']"


def test_a_status_set_for_one_request_does_not_stay(serve: Any) -> None:
    server = serve(
        "def model_fn(d): return 1\n"
        "def transform_fn(model, body, content_type, accept, context):\n"
        "    if body: context.set_response_status(418, 'teapot')\n"
        "    return 'ok'\n"
    )
    assert [server.invoke(body).status for body in (b"x", b"", b"x", b"")] == [418, 200, 418, 200]


@pytest.mark.observed
def test_errors_of_the_users_code_are_answers(serve: Any) -> None:
    server = serve(
        "class Teapot(Exception):\n"
        "    status_code = 418\n"
        "class Odd(Exception):\n"
        "    status_code = 200\n"
        "class Toolkit(Exception):\n"
        "    status_code, message, phrase = 400, 'bad\\r\\npicture', 'p'\n"
        "def model_fn(d): return 1\n"
        "def transform_fn(model, body, content_type, accept):\n"
        "    raise {b'v': ValueError('no picture'), b't': Teapot('short and stout'),\n"
        "        b'o': Odd('odd'), b'k': Toolkit(), b'n': KeyError()}[body]\n"
    )
    answers = {name: server.invoke(name) for name in (b"v", b"t", b"o", b"k", b"n")}
    assert {name: (a.status, a.body) for name, a in answers.items()} == {
        b"v": (500, b"no picture"),
        b"t": (418, b"short and stout"),
        b"o": (500, b"odd"),
        b"k": (400, b"bad\r\npicture"),
        b"n": (500, b"KeyError"),
    }
    assert answers[b"v"].headers["content-type"].startswith("text/plain")
    assert server.invoke(b"\xff", Content_Type="application/json").status == 400
    code, err = server.stop()
    assert code == 0
    assert "ValueError: no picture" in err
    assert "Traceback (most recent call last)" in err


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def model_fn(d):\n    raise RuntimeError('weights are missing')", "weights are missing"),
        ("import no_such_module_anywhere", "no_such_module_anywhere"),
        ("def model_fn(d:\n    pass", "SyntaxError"),
        ("def model_fn(): return 1\ndef transform_fn(m, b, c, a): return b", "model_fn takes 0"),
        (
            "def model_fn(d): return 1\ndef transform_fn(m, b, c, a): return b\n"
            "def input_fn(b, c): return b",
            "transform_fn and also",
        ),
        ("import sys\ndef model_fn(d): sys.exit(0)", "SystemExit"),
        ("import os\ndef model_fn(d): os._exit(0)", "ended with 0 before its model was loaded"),
        ("import os\ndef model_fn(d): os.kill(os.getpid(), 9)", "ended with -9 before its model"),
    ],
)
def test_a_model_that_cannot_be_loaded_ends_the_server(
    serve: Any, source: str, reason: str
) -> None:
    server = serve(source, healthy=False)
    _, err = server.process.communicate(timeout=60)
    assert server.process.returncode == 1
    assert reason in err[-400:]


def test_settings_that_make_no_sense_are_named(serve: Any) -> None:
    server = serve(ECHO, healthy=False, SAGEMAKER_MODEL_SERVER_WORKERS="many")
    _, err = server.process.communicate(timeout=60)
    assert server.process.returncode == 1
    assert "SAGEMAKER_MODEL_SERVER_WORKERS is 'many'" in err


def test_the_program_may_have_another_name_and_import_its_neighbours(
    serve: Any, environ: Any
) -> None:
    code = model_dir(environ) / "code"
    (code / "infernce2.py").write_text(
        "import helper, subprocess, sys\n"
        "def model_fn(d): return helper.NAME\n"
        "def transform_fn(model, body, content_type, accept):\n"
        "    program = 'import helper; print(helper.NAME)'\n"
        "    return subprocess.check_output([sys.executable, '-c', program])\n"
    )
    (code / "helper.py").write_text("NAME = 'neighbour'")
    server = serve(
        None, SAGEMAKER_PROGRAM="infernce2.py", SAGEMAKER_SUBMIT_DIRECTORY="/opt/ml/model/code"
    )
    assert server.invoke(b"").body == b"neighbour\n"


@pytest.mark.observed
def test_ping_waits_for_the_model(serve: Any, environ: Any) -> None:
    gate = model_dir(environ) / "gate"
    os.mkfifo(gate)
    server = serve(
        "def model_fn(d): return open(d + '/gate').read()\n"
        "def transform_fn(model, body, content_type, accept): return model\n",
        healthy=False,
    )
    assert server.call("GET", "/ping").status == 503
    gate.write_text("loaded")
    while (status := server.call("GET", "/ping").status) != 200:
        assert status == 503
    assert server.invoke(b"").body == b"loaded"


SLOW = """
import os
def model_fn(d): return d
def input_fn(body, content_type): return body.decode()
def predict_fn(data, model):
    if data == "pid":
        return str(os.getpid())
    with open(model + "/started", "w") as out:
        out.write("now")
    with open(model + "/gate") as gate:
        return gate.read()
def output_fn(prediction, accept): return prediction
"""


@pytest.fixture
def gates(serve: Any, environ: Any) -> tuple[Path, Path]:
    """Two pipes: the first is read when a slow prediction has begun, the second ends it."""
    started, gate = model_dir(environ) / "started", model_dir(environ) / "gate"
    os.mkfifo(started)
    os.mkfifo(gate)
    return started, gate


class Slow(threading.Thread):
    def __init__(self, server: Any) -> None:
        super().__init__()
        self.answer: Any = None
        self._server = server
        self.start()

    def run(self) -> None:
        self.answer = self._server.invoke(b"slow")


def test_ping_answers_while_a_prediction_runs(serve: Any, gates: tuple[Path, Path]) -> None:
    started, gate = gates
    server = serve(SLOW)
    slow = Slow(server)
    assert started.read_text() == "now"
    assert server.call("GET", "/ping").status == 200
    gate.write_text("done")
    slow.join()
    assert slow.answer.body == b"done"


def test_workers_serve_side_by_side(serve: Any, gates: tuple[Path, Path]) -> None:
    started, gate = gates
    server = serve(SLOW, SAGEMAKER_MODEL_SERVER_WORKERS="2")
    slow = Slow(server)
    assert started.read_text() == "now"
    assert server.invoke(b"pid").status == 200
    gate.write_text("done")
    slow.join()


def test_sigterm_finishes_what_runs(serve: Any, gates: tuple[Path, Path]) -> None:
    started, gate = gates
    server = serve(SLOW)
    resting = server.connect()
    assert server.call("GET", "/ping", connection=resting).status == 200
    slow = Slow(server)
    assert started.read_text() == "now"
    server.process.send_signal(signal.SIGTERM)
    resting.sock.settimeout(60)
    assert resting.sock.recv(1) == b""  # idle connections are closed at once
    resting.close()
    gate.write_text("finished")
    slow.join()
    assert (slow.answer.status, slow.answer.body) == (200, b"finished")
    assert slow.answer.headers["connection"] == "close"
    assert server.stop()[0] == 0


def test_sigterm_to_the_whole_group_finishes_what_runs(
    serve: Any, gates: tuple[Path, Path]
) -> None:
    started, gate = gates
    server = serve(SLOW)
    pid = int(server.invoke(b"pid").body)
    slow = Slow(server)
    assert started.read_text() == "now"
    os.kill(pid, signal.SIGTERM)
    server.process.send_signal(signal.SIGTERM)
    gate.write_text("finished")
    slow.join()
    assert slow.answer.body == b"finished"
    assert server.process.wait(60) == 0


def test_a_killed_worker_is_replaced(serve: Any, gates: tuple[Path, Path]) -> None:
    started, _ = gates
    server = serve(SLOW)
    pid = int(server.invoke(b"pid").body)
    slow = Slow(server)
    assert started.read_text() == "now"
    os.kill(pid, signal.SIGKILL)
    slow.join()
    assert (slow.answer.status, slow.answer.body) == (
        500,
        b"the worker that served the request died",
    )
    # Waits for the new worker: nothing is lost in between.
    replaced = server.invoke(b"pid")
    assert replaced.status == 200
    assert int(replaced.body) != pid
    assert server.process.poll() is None


def test_a_worker_that_hangs_is_replaced(serve: Any, gates: tuple[Path, Path]) -> None:
    server = serve(SLOW, SAGEMAKER_MODEL_SERVER_TIMEOUT="1")
    slow = Slow(server)
    gates[0].read_text()
    slow.join()
    assert slow.answer.status == 500
    assert b"within 1 seconds" in slow.answer.body
    assert server.invoke(b"pid").status == 200


def test_a_full_line_is_refused(serve: Any, gates: tuple[Path, Path]) -> None:
    started, gate = gates
    server = serve(SLOW, FOGBANK_MAX_WAITING="1")
    slow = Slow(server)
    assert started.read_text() == "now"
    with socket.create_connection(("127.0.0.1", server.port), 60) as waiting:
        waiting.sendall(
            b"GET /ping HTTP/1.1\r\n\r\nPOST /invocations HTTP/1.1\r\nContent-Length: 3\r\n\r\npid"
        )
        # Both came in one piece: when the first is answered, the second stands in line.
        assert waiting.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        refused = server.invoke(b"pid")
        assert refused.status == 503
        assert b"1 requests wait already" in refused.body
        gate.write_text("done")
        slow.join()
        assert waiting.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_a_connection_serves_many_requests_and_any_body(serve: Any) -> None:
    server = serve(MIRROR)
    connection = server.connect()
    big = os.urandom(3_000_000)
    for body in (b"", b"x", big, b"y"):
        assert server.call("POST", "/invocations", body, connection=connection).body == body
    chunks = [big[:7], big[7:100_000], big[100_000:]]
    answer = server.call(
        *("POST", "/invocations", iter(chunks)),
        {"Transfer-Encoding": "chunked"},
        connection,
    )
    assert answer.body == big
    connection.close()


def test_requests_sent_at_once_are_answered_in_order(serve: Any) -> None:
    server = serve(MIRROR)
    request = b"POST /invocations HTTP/1.1\r\nContent-Length: 2\r\n\r\n%02d"
    last = b"GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n"
    answer = server.raw(b"".join(request % n for n in range(40)) + last)
    bodies = [part[:2] for part in answer.split(b"\r\n\r\n")[1:41]]
    assert bodies == [b"%02d" % n for n in range(40)]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"GET /invocations HTTP/1.1\r\nConnection: close\r\n\r\n", 405),
        (b"POST /ping HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        (b"POST /invocations HTTP/1.1\r\nContent-Length: 99\r\n\r\n" + b"a" * 99, 413),
        (b"POST /invocations HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n" + b"a" * 300_000, 413),
    ],
)
def test_bad_requests_are_answered_and_the_server_lives(
    serve: Any, data: bytes, status: int
) -> None:
    server = serve(ECHO, FOGBANK_MAX_BODY_BYTES="50")
    assert server.raw(data).startswith(b"HTTP/1.1 %d " % status)
    assert server.call("GET", "/ping").status == 200


def test_a_client_that_waits_for_continue_gets_it(serve: Any) -> None:
    server = serve(ECHO)
    with socket.create_connection(("127.0.0.1", server.port), 60) as sock:
        sock.sendall(
            b"POST /invocations HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
        )
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"x")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_goes_away_harms_nobody(serve: Any, gates: tuple[Path, Path]) -> None:
    started, gate = gates
    server = serve(SLOW)
    with socket.create_connection(("127.0.0.1", server.port), 60) as sock:
        sock.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 4\r\n\r\nslow")
        assert started.read_text() == "now"
    gate.write_text("for nobody")
    assert server.invoke(b"pid").status == 200


def test_a_port_that_is_taken_is_named(environ: Any, serve: Any) -> None:
    import subprocess
    import sys

    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [sys.executable, "-m", "fogbank.images.inference"],
            env={**environ, "SAGEMAKER_BIND_TO_PORT": str(taken.getsockname()[1])},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert "set SAGEMAKER_BIND_TO_PORT" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.observed
def test_the_default_functions_serve_torchscript(serve: Any, environ: Any) -> None:
    torch = pytest.importorskip("torch")
    numpy = pytest.importorskip("numpy")
    import io
    import subprocess
    import sys

    program = (
        "import sys, torch\n"
        "linear = torch.nn.Linear(2, 1)\n"
        "torch.nn.init.ones_(linear.weight); torch.nn.init.zeros_(linear.bias)\n"
        "torch.jit.save(torch.jit.trace(linear, torch.zeros(1, 2)), sys.argv[1])\n"
    )
    assert torch.__version__
    path = model_dir(environ) / "net.pth"
    subprocess.run([sys.executable, "-W", "ignore", "-c", program, str(path)], check=True)
    server = serve(None)
    as_json = server.invoke(b"[[1, 2], [3, 4]]", Content_Type="application/json")
    assert as_json.status == 200, as_json.body
    assert json.loads(as_json.body) == [[3.0], [7.0]]
    as_csv = server.invoke(b"1,2\n3,4\n", Content_Type="text/csv", Accept="text/csv")
    assert [float(line) for line in as_csv.body.split()] == [3.0, 7.0]
    data = io.BytesIO()
    numpy.save(data, numpy.array([[1, 2]], dtype="float32"))
    npy = "application/x-npy"
    as_npy = server.invoke(data.getvalue(), Content_Type=npy, Accept=npy)
    assert numpy.load(io.BytesIO(as_npy.body)).tolist() == [[3.0]]
    assert as_npy.headers["content-type"] == npy
    pickled = io.BytesIO()
    numpy.save(pickled, numpy.array([{}], dtype=object))
    assert server.invoke(pickled.getvalue(), Content_Type=npy).status == 400
    assert server.invoke(b"[[", Content_Type="application/json").status == 400
    assert server.invoke(b"x", Content_Type="image/jpeg").status == 415
    refused = server.invoke(b"[[1, 2]]", Content_Type="application/json", Accept="image/png")
    assert refused.status == 406
