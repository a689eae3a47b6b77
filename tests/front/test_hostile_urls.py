"""Addresses that strangers give: tests/cases/hostile_urls.json, one test a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fogbank.front.addresses import is_public
from fogbank.front.deadline import Deadline
from fogbank.front.fetch import Fetch
from fogbank.front.formats import check_picture
from fogbank.front.refusals import Refusal
from fogbank.front.settings import MAX_PIXELS
from fogbank.front.urls import AllowedHosts
from front.internet import MAX_BYTES, Internet, ManualTime
from front.pictures import png

TABLE = json.loads((Path(__file__).parents[1] / "cases/hostile_urls.json").read_text())
LIMIT_S = 10.0


def url_of(case: dict[str, Any]) -> str:
    url = case["url"]
    if isinstance(url, dict):
        return str(url["text"] + url["then"] * url["times"] + url.get("end", ""))
    return str(url)


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["case"])
def test_an_address(case: dict[str, Any]) -> None:
    time = ManualTime()
    internet = Internet(
        {**TABLE["names"], **case.get("names", {})}, case.get("answers", [{}]), time
    )
    fetch = Fetch(
        AllowedHosts(case.get("allowed", TABLE["allowed"])),
        MAX_BYTES,
        resolve=internet.resolve,
        connect=internet.connect,
    )
    started_s = time()
    found: str | int = "picture"
    message = ""
    try:
        content = fetch(url_of(case), Deadline(LIMIT_S, "fetching", time))
        check_picture(content, MAX_PIXELS)
        assert content == png()
    except Refusal as refusal:
        found, message = refusal.status, str(refusal)
    assert found == case["expect"]
    assert "10.0.0" not in message, "what a name means in here is nobody's business"
    assert internet.connected == case.get("connected", [])
    assert all(is_public(address) for address in internet.connected)
    assert all(stream.is_closed for stream in internet.streams)
    assert time() - started_s <= LIMIT_S + 1, "it ends when it said that it would"
    # One buffer more than the limit and the head, never a whole body.
    assert all(
        stream.num_read <= case.get("reads_at_most", 2 * MAX_BYTES) for stream in internet.streams
    )
    if "sent" in case:
        head = internet.streams[-1].sent.decode()
        assert case["sent"] in head.split("\r\n")
        assert head.count("\r\n\r\n") == 1
        assert "Accept-Encoding: identity" in head


def test_there_are_enough_hostile_ones() -> None:
    hostile = [case for case in TABLE["cases"] if case["expect"] != "picture"]
    assert len(hostile) >= 40
    assert len({case["case"] for case in TABLE["cases"]}) == len(TABLE["cases"])


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "172.32.0.1"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address", ["", "localhost", "1", "0x7f.1", "127.1", "2606:4700::1%eth0", "fec0::1", "3fff::1"]
)
def test_what_is_no_public_address(address: str) -> None:
    assert not is_public(address)
