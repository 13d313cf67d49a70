"""Floods of bad tokens, huge bodies and stalled senders don't stop good senders."""

import gzip
import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from billing import verification
from billing.models import CallReport, CreditTransaction
from products import tokens
from products.models import Project
from tests.conftest import missing
from tests.factories import ProjectFactory, fields
from tests.faults.client import USAGE, Answer, post
from tests.faults.load import Load, load
from tests.faults.server import Server, own_database, running

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 10_000_000
"""Bytes of a body, after decompression."""
AT_ONCE = 4
ROOM = AT_ONCE * 300_000_000
"""Memory in bytes that the worst bodies may take in total. Parsed, 10 MB of `{},` take 250 MB."""
STALLED = 6
THREADS = STALLED + AT_ONCE + 2


@pytest.fixture
def server() -> Iterator[Server]:
    with running(own_database(), threads=THREADS) as [started]:
        yield started


@pytest.fixture
def token() -> str:
    project = ProjectFactory()
    return tokens.issue(project.owner, project=project, scope="ingest")[1]


@contextmanager
def good_senders(server: Server) -> Iterator[Load]:
    """Everything reported to them as recorded is in the ledger afterwards."""
    project: Project = ProjectFactory()
    ingest = tokens.issue(project.owner, project=project, scope="ingest")[1]
    with load([server], {project.pk: ingest}, senders=2, pause=0.05) as busy:
        busy.wait_for(2)
        yield busy
        busy.wait_for(2)
    sent = CreditTransaction.objects.filter(project=project, adjusts=None).values_list("event_id", flat=True)
    reports = CallReport.objects.filter(project=project).values_list("event_id", flat=True)
    assert set(busy.journal.acknowledged[project.pk]) == set(sent) | set(reports)
    assert busy.journal.surprises == []
    with verification.snapshot():
        assert list(verification.differences(project)) == []


def peak(server: Server) -> int:
    """The process's peak memory in bytes."""
    assert server.process
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        missing("/proc", "run this test on Linux")
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.once
@pytest.mark.parametrize("tries", [500, pytest.param(5_000, marks=pytest.mark.long)])
def test_thousands_of_bad_tokens_are_refused(server: Server, tries: int) -> None:
    def guess(number: int) -> Answer:
        return post(server, f"aicost_{number:043}", b"")

    with good_senders(server), ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(guess, range(tries)))
    statuses = Counter(answer.status for answer in answers)
    assert statuses.keys() == {401, 429}
    assert all("Retry-After" in answer.headers for answer in answers if answer.status == 429)


BOMB = gzip.compress(bytes(LIMIT)) * (LIMIT // 20_000)
PACKED = {"Content_Encoding": "gzip"}
LINES = {"Content_Type": "application/x-ndjson"}
HUGE: dict[str, tuple[bytes, dict[str, str], int]] = {
    "five gigabytes, packed": (BOMB, PACKED, 413),
    "more than they say they are, packed": (BOMB[:-1], PACKED, 413),
    "longer than is read": (b" " * (LIMIT + 1), {"Content_Length": str(10**12)}, 413),
    "millions of numbers": (b"[" + b"0," * (LIMIT // 2 - 1) + b"0]", {}, 413),
    "millions of empty objects": (b"[" + b"{}," * (LIMIT // 3 - 1) + b"{}]", {}, 413),
    "millions of lines": (b"0\n" * (LIMIT // 2), LINES, 413),
    "deep arrays": (b"[" * LIMIT, {}, 400),
    "deep objects": (b'{"a":' * (LIMIT // 5), {}, 400),
    "a number of millions of digits": (b"[" + b"1" * (LIMIT - 2) + b"]", {}, 400),
}


@pytest.mark.once
def test_huge_bodies_are_refused_in_bounded_memory(server: Server, token: str) -> None:
    assert post(server, token, fields()).status == 200
    before = peak(server)
    with good_senders(server), ThreadPoolExecutor(AT_ONCE) as pool:
        for what, (body, headers, status) in HUGE.items():
            tries = [pool.submit(post, server, token, body, **headers) for _ in range(AT_ONCE)]
            assert {one.result().status for one in tries} == {status}, what
    assert peak(server) - before < ROOM


def begun(server: Server, token: str, body: bytes, query: str = "") -> socket.socket:
    """A request of which only the first half of the lines has been sent."""
    lines = body.splitlines(keepends=True)
    head = (
        f"POST {USAGE}{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    stalled = server.connect()
    stalled.sendall(head.encode() + b"".join(lines[: len(lines) // 2]))
    return stalled


def answer_of(client: socket.socket) -> tuple[int, bytes]:
    with client.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        _, _, body = stream.read().partition(b"\r\n\r\n")
    client.close()
    return status, body


def body_of(name: str) -> bytes:
    return b"".join(json.dumps(fields(eventId=f"{name}{n}")).encode() + b"\n" for n in range(4))


def test_stalled_senders_do_not_delay_others(server: Server, token: str) -> None:
    bodies = [body_of(f"slow{n}-") for n in range(STALLED)]
    stalled = [begun(server, token, body) for body in bodies]
    with good_senders(server) as busy:
        busy.wait_for(10)
    for client, body in zip(stalled, bodies, strict=True):
        client.sendall(b"".join(body.splitlines(keepends=True)[2:]))
        status, answer = answer_of(client)
        assert (status, json.loads(answer)["recorded"]) == (200, 4)


@pytest.mark.parametrize("query", ["", "?atomic=true"])
def test_a_body_truncated_between_lines_is_refused(server: Server, token: str, query: str) -> None:
    client = begun(server, token, body_of("half"), query)
    client.shutdown(socket.SHUT_WR)
    status, body = answer_of(client)
    assert (status, b"shorter than its Content-Length" in body) == (400, True)
    assert not CreditTransaction.objects.filter(event_id__startswith="half").exists()
