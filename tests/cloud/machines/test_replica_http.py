"""One replica's HTTP client against containers that behave, and containers that do not."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from cloud.machines.container_double import Container, Peer, container
from fogbank.cloud.machines.replica_http import MAX_IDLE_CONNECTIONS, ReplicaGone, ReplicaHttp


def door(found: Container) -> ReplicaHttp:
    return ReplicaHttp("127.0.0.1", found.port)


async def say(http: ReplicaHttp, text: str) -> str:
    return (await http.request("POST", "/invocations", {}, text.encode())).body.decode()


async def test_what_the_container_sees_and_says() -> None:
    seen: list[tuple[str, dict[str, str], bytes] | None] = []

    async def serve(peer: Peer) -> None:
        seen.append(await peer.request())
        peer.send("HTTP/1.1 400 Bad\nContent-Type: text/plain\nX-A: 1\ncontent-length: 3\n\nno!")

    async with container(serve) as found:
        answer = await door(found).request(
            "POST", "/invocations", {"content-type": "image/png"}, b"\x00picture"
        )
    assert (answer.status, answer.body) == (400, b"no!")
    assert answer.headers == {"content-type": "text/plain", "x-a": "1", "content-length": "3"}
    host = f"127.0.0.1:{found.port}"
    assert seen == [
        (
            "POST /invocations HTTP/1.1",
            {"host": host, "content-type": "image/png", "content-length": "8"},
            b"\x00picture",
        )
    ]


async def test_a_connection_is_kept() -> None:
    async with container() as found:
        http = door(found)
        assert [await say(http, text) for text in "abc"] == ["0:a", "0:b", "0:c"]
        http.close()


async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    async with container() as found:
        http = door(found)
        answers = await asyncio.gather(*(say(http, str(number)) for number in range(20)))
        assert [answer.partition(":")[2] for answer in answers] == [str(n) for n in range(20)]
        assert len({answer.partition(":")[0] for answer in answers}) == 20
        http.close()


async def test_idle_connections_have_a_limit() -> None:
    async with container() as found:
        http = door(found)
        crowd = MAX_IDLE_CONNECTIONS + 10
        for _ in range(2):
            await asyncio.gather(*(say(http, "x") for _ in range(crowd)))
        assert len(found.peers) == crowd + 10
        http.close()


async def test_a_connection_that_was_closed_while_idle_is_not_used() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        peer.answer(str(peer.number))

    async with container(serve) as found:
        http = door(found)
        assert await say(http, "a") == "0"
        await asyncio.sleep(0.02)  # the end of the connection arrives
        assert await say(http, "b") == "1"


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_stale_connection_is_retried_once(loop: object) -> None:
    """On both event loops: the cloud runs on uvloop, whose transports are no asyncio.Transport."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            peer.answer("first")
            await peer.request()

    async def main() -> None:
        async with container(serve) as found:
            http = door(found)
            assert await say(http, "a") == "first"
            # Connection 0 ends without a byte of an answer, and so does connection 1.
            with pytest.raises(ReplicaGone) as caught:
                await say(http, "b")
            assert (caught.value.answered, caught.value.num_sent) == (False, 2)
            assert len(found.peers) == 2

    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        runner.run(main())


async def test_a_stale_connection_costs_nothing() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        peer.answer(str(peer.number))
        if peer.number == 0:
            await peer.request()  # and no answer
        else:
            await peer.serve_all()

    async with container(serve) as found:
        http = door(found)
        assert [await say(http, text) for text in "abc"] == ["0", "1", "1:c"]
        http.close()


async def test_nothing_is_sent_again_once_a_byte_has_come() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        peer.answer("fine")
        await peer.request()
        peer.send("HTTP/1.1 200 OK\ncontent-le")

    async with container(serve) as found:
        http = door(found)
        assert await say(http, "a") == "fine"
        with pytest.raises(ReplicaGone, match="closed the connection") as caught:
            await say(http, "b")
        assert caught.value.answered
        assert len(found.peers) == 1


async def test_a_body_that_breaks_off_is_no_answer() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        peer.send("HTTP/1.1 200 OK\ncontent-length: 10\n\n12345")

    async with container(serve) as found:
        with pytest.raises(ReplicaGone) as caught:
            await say(door(found), "a")
    assert caught.value.answered


async def test_nobody_listens() -> None:
    async with container() as found:
        pass
    with pytest.raises(ReplicaGone, match=f"nobody listens on 127.0.0.1:{found.port}") as caught:
        await say(door(found), "a")
    assert (caught.value.answered, caught.value.num_sent) == (False, 0)


async def test_chunks() -> None:
    async def serve(peer: Peer) -> None:
        for _ in range(2):
            await peer.request()
            peer.send("HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\nabc\n")
            await asyncio.sleep(0.01)
            peer.send("2\nde\n0\n\n")

    async with container(serve) as found:
        http = door(found)
        assert [await say(http, "x"), await say(http, "y")] == ["abcde", "abcde"]
        assert len(found.peers) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("HTTP/1.1 200 OK\nconnection: close\ncontent-length: 2\n\nok", id="close"),
        pytest.param("HTTP/1.0 200 OK\ncontent-length: 2\n\nok", id="http-1.0"),
        pytest.param("HTTP/1.0 200 OK\n\nok", id="ends-with-the-connection"),
        pytest.param("HTTP/1.1 200 OK\ncontent-type: text/plain\n\nok", id="no-length"),
    ],
)
async def test_an_answer_that_closes_the_connection(answer: str) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        peer.send(answer)

    async with container(serve) as found:
        http = door(found)
        assert [await say(http, "a"), await say(http, "b")] == ["ok", "ok"]
        assert len(found.peers) == 2


@pytest.mark.parametrize("status", [100, 102, 103])
async def test_an_interim_answer_is_not_the_answer(status: int) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        peer.send(f"HTTP/1.1 {status} Wait\nx-interim: 1\n\n")
        await asyncio.sleep(0.01)
        peer.answer("done")

    async with container(serve) as found:
        answer = await door(found).request("POST", "/invocations", {}, b"x")
    assert (answer.status, answer.body) == (200, b"done")
    assert answer.headers == {"content-length": "4"}


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param("SSH-2.0-OpenSSH_9.6\n", id="ssh"),
        pytest.param("\0\1\2\3" * 30, id="binary"),
        pytest.param("HTTP/1.1 200 OK\ncontent-length: -4\n\n", id="length"),
        pytest.param("HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\nzz\n", id="chunk"),
        pytest.param(
            "HTTP/1.1 101 Switching\nconnection: upgrade\nupgrade: websocket\n\n", id="upgrade"
        ),
    ],
)
async def test_garbage(garbage: str) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        peer.send(garbage)
        await peer.request()

    async with container(serve) as found:
        with pytest.raises(ReplicaGone, match="did not answer in HTTP") as caught:
            await say(door(found), "a")
    assert caught.value.answered


async def test_a_cancelled_request_does_not_leave_its_answer_to_the_next() -> None:
    late = asyncio.Event()

    async def serve(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if request[2] == b"slow":
                await late.wait()
            peer.answer(request[2].decode())

    async with container(serve) as found:
        http = door(found)
        assert await say(http, "a") == "a"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await say(http, "slow")
        late.set()
        assert await say(http, "b") == "b"
        assert len(found.peers) == 2
        http.close()


@pytest.mark.parametrize("together", [True, False])
async def test_a_second_answer_is_not_the_next_request_s(together: bool) -> None:
    hung_up = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        second = "HTTP/1.1 500 X\nx-second: 1\ncontent-length: 5\n\nwrong"
        first = f"HTTP/1.1 200 OK\ncontent-length: 1\n\n{peer.number}"
        if together:
            peer.send(first + second)
        else:
            peer.send(first)
            await asyncio.sleep(0.01)
            peer.send(second)
        try:
            await peer.request()
        finally:
            hung_up.set()

    async with container(serve) as found:
        http = door(found)
        answer = await http.request("POST", "/invocations", {}, b"a")
        assert (answer.status, answer.body, answer.headers) == (200, b"0", {"content-length": "1"})
        await asyncio.wait_for(hung_up.wait(), 10)
        assert await say(http, "b") == "1"


async def test_giving_up_on_a_container_that_does_not_read_frees_the_connection() -> None:
    given_up = asyncio.Event()
    received: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve(peer: Peer) -> None:
        await given_up.wait()  # meanwhile the kernel's buffers and the reader's own fill up
        received.set_result(len(await peer.reader.read(-1)))

    async with container(serve) as found:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await door(found).request("POST", "/invocations", {}, b"x" * (32 << 20))
        given_up.set()
        async with asyncio.timeout(5):
            assert await received < 32 << 20


async def test_an_empty_body() -> None:
    async def serve(peer: Peer) -> None:
        for _ in range(2):
            await peer.request()
            peer.send("HTTP/1.1 204 No Content\n\n")

    async with container(serve) as found:
        http = door(found)
        for _ in range(2):
            answer = await http.request("GET", "/ping", {})
            assert (answer.status, answer.body) == (204, b"")
        assert len(found.peers) == 1
