"""Listings equal a naive model, whatever the keys, the delimiter and the size of a page."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.aws import refused
from cloud.services.s3.s3_calls import S3

pytestmark = pytest.mark.docs

KEYS = st.lists(st.text("ab/ä🐕\U0010ffff", min_size=1, max_size=6), unique=True, max_size=12)
PREFIXES = st.sampled_from(["", "a", "a/", "b", "ä", "/", "🐕", "\U0010ffff"])
DELIMITERS = st.sampled_from(["", "/", "a", "//", "ä"])


def naive(keys: list[str], prefix: str, delimiter: str, after: str = "") -> list[str]:
    """Keys and common prefixes in UTF-8 order."""
    lines = set()
    for key in keys:
        if not key.startswith(prefix) or key.encode() <= after.encode():
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        lines.add(key if cut < 0 else key[: cut + len(delimiter)])
    return sorted(lines, key=str.encode)


def lines_of(page: dict[str, Any]) -> list[str]:
    keys = [entry["Key"] for entry in page.get("Contents", ())]
    prefixes = [entry["Prefix"] for entry in page.get("CommonPrefixes", ())]
    assert keys == sorted(keys, key=str.encode)
    assert prefixes == sorted(prefixes, key=str.encode)
    return sorted(keys + prefixes, key=str.encode)


async def fill(s3: S3, keys: list[str]) -> None:
    listed = await s3("ListObjectsV2", Bucket="dogs")
    old = [{"Key": entry["Key"]} for entry in listed.get("Contents", ())]
    if old:
        await s3("DeleteObjects", Bucket="dogs", Delete={"Objects": old})
    for key in keys:
        await s3.put(key)


LAW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@LAW
@given(keys=KEYS, prefix=PREFIXES, delimiter=DELIMITERS, limit=st.integers(1, 4))
async def test_paging_law_of_v2(
    s3: S3, keys: list[str], prefix: str, delimiter: str, limit: int
) -> None:
    await fill(s3, keys)
    seen: list[str] = []
    token: dict[str, Any] = {}
    for _ in range(20):
        page = await s3(
            "ListObjectsV2",
            Bucket="dogs",
            Prefix=prefix,
            Delimiter=delimiter,
            MaxKeys=limit,
            **token,
        )
        lines = lines_of(page)
        assert page["KeyCount"] == len(lines) <= limit
        seen += lines
        if not page["IsTruncated"]:
            break
        assert len(lines) == limit
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert seen == naive(keys, prefix, delimiter)


@LAW
@given(keys=KEYS, prefix=PREFIXES, delimiter=DELIMITERS, limit=st.integers(1, 4))
async def test_paging_law_of_v1(
    s3: S3, keys: list[str], prefix: str, delimiter: str, limit: int
) -> None:
    await fill(s3, keys)
    seen: list[str] = []
    marker = ""
    for _ in range(20):
        page = await s3(
            "ListObjects",
            Bucket="dogs",
            Prefix=prefix,
            Delimiter=delimiter,
            MaxKeys=limit,
            Marker=marker,
        )
        lines = lines_of(page)
        seen += lines
        if not page["IsTruncated"]:
            break
        assert ("NextMarker" in page) is bool(delimiter)  # without one, the last key is the marker
        marker = page["NextMarker"] if delimiter else lines[-1]
    assert seen == naive(keys, prefix, delimiter)


@LAW
@given(keys=KEYS, prefix=PREFIXES, after=st.text("ab/ä🐕", min_size=1, max_size=4))
async def test_start_after_law(s3: S3, keys: list[str], prefix: str, after: str) -> None:
    await fill(s3, keys)
    page = await s3("ListObjectsV2", Bucket="dogs", Prefix=prefix, StartAfter=after)
    assert lines_of(page) == naive(keys, prefix, "", after)
    assert page["StartAfter"] == after


async def test_url_encoding(s3: S3) -> None:
    keys = ["a b/ä+1", "a b/\x01", "c&d"]
    await fill(s3, keys)
    page = await s3("ListObjectsV2", Bucket="dogs", EncodingType="url", StartAfter=" ")
    written = [entry["Key"] for entry in page["Contents"]]
    assert written == ["a+b/%01", "a+b/%C3%A4%2B1", "c%26d"]
    assert sorted(map(unquote_plus, written)) == sorted(keys)
    assert (page["EncodingType"], page["StartAfter"]) == ("url", "+")
    page = await s3("ListObjectsV2", Bucket="dogs", EncodingType="url", Delimiter="/")
    assert page["CommonPrefixes"] == [{"Prefix": "a+b/"}]
    with refused("InvalidArgument", 400):
        await s3("ListObjectsV2", Bucket="dogs", EncodingType="base64")


async def test_limits_of_a_page(s3: S3) -> None:
    await fill(s3, ["a", "b"])
    nothing = await s3("ListObjectsV2", Bucket="dogs", MaxKeys=0)
    assert (nothing["KeyCount"], nothing["IsTruncated"]) == (0, False)
    assert (await s3("ListObjectsV2", Bucket="dogs", MaxKeys=5000))["MaxKeys"] == 1000
    with refused("InvalidArgument", 400):
        await s3("ListObjectsV2", Bucket="dogs", MaxKeys=-1)
    with refused("InvalidArgument", 400, "continuation token"):
        await s3("ListObjectsV2", Bucket="dogs", ContinuationToken="\x00")


async def test_owners(s3: S3) -> None:
    await fill(s3, ["a"])
    without = await s3("ListObjectsV2", Bucket="dogs")
    assert "Owner" not in without["Contents"][0]
    for page in (
        await s3("ListObjectsV2", Bucket="dogs", FetchOwner=True),
        await s3("ListObjects", Bucket="dogs"),
    ):
        assert len(page["Contents"][0]["Owner"]["ID"]) == 64


async def pages_of_versions(s3: S3, **params: Any) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = []
    markers: dict[str, Any] = {}
    for _ in range(20):
        page = await s3("ListObjectVersions", Bucket="dogs", **params, **markers)
        pages.append(page)
        if not page["IsTruncated"]:
            break
        markers = {"KeyMarker": page["NextKeyMarker"]}
        if "NextVersionIdMarker" in page:
            markers["VersionIdMarker"] = page["NextVersionIdMarker"]
    return pages


async def versioned(s3: S3) -> list[tuple[str, str]]:
    """(key, version id) of six versions and a marker, newest first within a key."""
    enabled = {"Status": "Enabled"}
    await s3("PutBucketVersioning", Bucket="dogs", VersioningConfiguration=enabled)
    made = []
    for key in ("a", "b/1", "b/2", "c"):
        newest_first = [(await s3.put(key))["VersionId"] for _ in range(1 if "/" in key else 2)]
        made += [(key, version_id) for version_id in reversed(newest_first)]
    marker = await s3("DeleteObject", Bucket="dogs", Key="a")
    return [("a", marker["VersionId"]), *made]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_versions_in_pages(s3: S3, limit: int) -> None:
    made = await versioned(s3)
    pages = await pages_of_versions(s3, MaxKeys=limit)
    seen = [
        (entry["Key"], entry["VersionId"])
        for page in pages
        for kind in ("DeleteMarkers", "Versions")  # the marker is the newest of its key
        for entry in page.get(kind, ())
    ]
    assert seen == made
    latest = [
        entry["Key"]
        for page in pages
        for kind in ("DeleteMarkers", "Versions")
        for entry in page.get(kind, ())
        if entry["IsLatest"]
    ]
    assert latest == ["a", "b/1", "b/2", "c"]


async def test_versions_under_a_delimiter(s3: S3) -> None:
    await versioned(s3)
    pages = await pages_of_versions(s3, Delimiter="/", MaxKeys=1)
    prefixes = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())]
    assert prefixes == ["b/"]
    keys = [entry["Key"] for page in pages for entry in page.get("Versions", ())]
    assert keys == ["a", "a", "c", "c"]


async def test_a_bucket_can_be_emptied_page_by_page(s3: S3) -> None:
    """The markers of the next page then name versions that are gone."""
    await versioned(s3)
    markers: dict[str, Any] = {}
    for _ in range(10):
        page = await s3("ListObjectVersions", Bucket="dogs", MaxKeys=2, **markers)
        wanted = [
            {"Key": entry["Key"], "VersionId": entry["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for entry in page.get(kind, ())
        ]
        await s3("DeleteObjects", Bucket="dogs", Delete={"Objects": wanted})
        if not page["IsTruncated"]:
            break
        markers = {
            "KeyMarker": page["NextKeyMarker"],
            "VersionIdMarker": page["NextVersionIdMarker"],
        }
    await s3("DeleteBucket", Bucket="dogs")


async def test_a_version_marker_needs_a_key_marker(s3: S3) -> None:
    with refused("InvalidArgument", 400, "key marker"):
        await s3("ListObjectVersions", Bucket="dogs", VersionIdMarker="null")
