"""What breaks around an index in PostgreSQL: nothing is lost, and one line says what to do."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from ragctx.errors import (
    IndexDamagedError,
    IndexMismatchError,
    IndexMissingError,
    InputError,
    RagctxError,
    StoreError,
)
from ragctx.index.address import PostgresAddress
from ragctx.index.index import Index
from ragctx.index.repair import verify_index
from ragctx.retrieval import search
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with, made_of, put
from tests.support.paths import ROOT
from tests.support.postgres_server import PASSWORD, PostgresServer

EMBEDDER = HashEmbedder()


def schema(address: str) -> str:
    return PostgresAddress(address).schema


def texts_of(index: Index) -> dict[str, list[str]]:
    return {s.path: [c.text for c in index.chunks(s.document_id)] for s in index.sources()}


# ---- Ends in the middle ----------------------------------------------------------------------

KILLED = """
import sys, time
from ragctx.index.index import Index
from ragctx.index.postgres import storing
from tests.support.index_samples import put

address, step = sys.argv[1:]

def stopped(*arguments, **named):
    print("there", flush=True)
    time.sleep(60)

setattr(storing, step, stopped)
with Index.open(address).writer() as writer:
    put(writer, "new", "other text", "more", path="a.pdf")
"""
STEPS = ("_write_document", "_write_chunks", "_write_postings", "_write_vectors", "_delete_orphan")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_writer_killed_in_the_middle_of_a_document_leaves_what_was(
    postgres_address: str, step: str
) -> None:
    index = index_with(postgres_address, {"a": ("old text",), "b": ("text of b",)})
    before = texts_of(index)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, postgres_address, step],
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None and process.stdout.readline() == b"there\n"
    assert texts_of(index) == before  # readers never wait
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert texts_of(index) == before
    assert verify_index(postgres_address) == ()
    with index.writer() as writer:  # nor does the next writer
        put(writer, "new", "other text", "more", path="a.pdf")
    assert texts_of(index) == {**before, "a.pdf": ["other text", "more"]}
    assert verify_index(postgres_address) == ()


@pytest.mark.parametrize("step", ["_write_vectors", "map_source"])
def test_a_connection_that_is_cut_in_a_transaction_costs_that_transaction(
    postgres: PostgresServer, postgres_address: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_with(postgres_address, {"a": ("old text",)})
    before = texts_of(index)
    own = f"ragctx.index.postgres.storing.{step}"

    def cut(connection: object, *arguments: object, **named: object) -> None:
        pid = connection.info.backend_pid  # type: ignore[attr-defined]
        postgres.execute("SELECT pg_terminate_backend(%s, 5000)", pid)
        connection.execute("SELECT 1")  # type: ignore[attr-defined]

    with monkeypatch.context() as patch:
        patch.setattr(own, cut)
        with (
            pytest.raises(StoreError, match=r"broke .* not in the index, .* same command again"),
            index.writer() as writer,
        ):
            put(writer, "a", "other text")
    assert texts_of(index) == before
    assert verify_index(postgres_address) == ()
    with index.writer() as writer:
        put(writer, "a", "other text")
    assert texts_of(index) == {"a.pdf": ["other text"]}


def test_a_reader_whose_connection_is_cut_is_told(
    postgres: PostgresServer, postgres_address: str
) -> None:
    index = index_with(postgres_address, {"a": ("old text",)})
    with pytest.raises(StoreError, match=r"broke .* same command again"):
        with index.snapshot() as snapshot:
            pid = snapshot.connection.info.backend_pid  # type: ignore[attr-defined]
            postgres.execute("SELECT pg_terminate_backend(%s, 5000)", pid)
            snapshot.sources()
    assert len(search(index, EMBEDDER, "text")) == 1


def backends(postgres: PostgresServer) -> list[int]:
    """The processes of the server that serve ragctx."""
    found = postgres.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'ragctx' ORDER BY pid"
    )
    return [pid for (pid,) in found]


def test_a_connection_is_kept_for_the_next_question_and_closed_with_the_index(
    postgres: PostgresServer, postgres_address: str
) -> None:
    gc.collect()
    before = set(backends(postgres))
    index = index_with(postgres_address, {"a": ("old text",)})
    (kept,) = set(backends(postgres)) - before
    for _ in range(3):
        assert len(search(index, EMBEDDER, "text")) == 1
    assert set(backends(postgres)) - before == {kept}
    postgres.execute("SELECT pg_terminate_backend(%s, 5000)", kept)
    assert len(search(index, EMBEDDER, "text")) == 1  # by a new one
    assert set(backends(postgres)) - before - {kept}
    del index
    gc.collect()
    wait_until(lambda: set(backends(postgres)) <= before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_does_not_use_its_parent_s_connection(
    postgres: PostgresServer, postgres_address: str
) -> None:
    index = index_with(postgres_address, {"a": ("old text",)})
    code = (
        "import os, sys\n"
        "from ragctx.index.index import Index\n"
        "index = Index.open(sys.argv[1])\n"
        "child = os.fork()\n"
        "sources = index.sources()\n"
        "if child == 0:\n"
        "    os._exit(0 if len(sources) == 1 else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert index.sources() == sources\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    subprocess.run([sys.executable, "-c", code, str(index.path)], check=True, env=environment)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait, ten seconds at most, until something is so."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_full_disk_costs_the_document_that_was_written(
    postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from psycopg import errors

    index = index_with(postgres_address, {"a": ("old text",)})

    def full(*arguments: object) -> None:
        raise errors.DiskFull("could not extend file: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ragctx.index.postgres.storing.map_source", full)
        with (
            pytest.raises(StoreError, match=r"no room left .* not in the index, .* Make room"),
            index.writer() as writer,
        ):
            put(writer, "b", "text")
    assert texts_of(index) == {"a.pdf": ["old text"]}
    assert verify_index(postgres_address) == ()


# ---- Many at once ----------------------------------------------------------------------------


def at_once(*works: object) -> None:
    """Run functions in threads; what one raises is raised."""
    failed: list[BaseException] = []

    def run(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def test_two_writers_of_one_document_leave_one_of_both(postgres_address: str) -> None:
    index_with(postgres_address, {})
    versions = (("one text", "two"), ("three",))

    def write(version: tuple[str, ...]) -> None:
        with Index.open(postgres_address).writer() as writer:
            for _ in range(8):
                put(writer, "a", *version)

    at_once(*(lambda v=version: write(v) for version in versions))
    (texts,) = texts_of(Index.open(postgres_address)).values()
    assert tuple(texts) in versions
    assert verify_index(postgres_address) == ()


def test_many_writers_and_readers_at_once_lose_nothing(postgres_address: str) -> None:
    index = index_with(postgres_address, {})
    done = threading.Event()

    def write(first: int) -> None:
        with Index.open(postgres_address).writer() as writer:
            for i in range(first, first + 6):
                put(writer, f"d{i}", f"text of {i}", "shared text")

    def read() -> None:
        while not done.is_set():
            for hit in search(index, EMBEDDER, "shared text", 50):
                assert len(index.chunks(hit.chunk.document_id)) == 2  # whole documents only

    reader = threading.Thread(target=read)
    reader.start()
    try:
        at_once(*(lambda f=first: write(f) for first in (0, 10, 20)))
    finally:
        done.set()
        reader.join()
    assert len(index.sources()) == 18
    assert verify_index(postgres_address) == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_whatever_several_do_to_the_same_files_each_document_is_whole(
    postgres: PostgresServer, postgres_address: str, seed: int
) -> None:
    index_with(postgres_address, {})

    def work(chance: random.Random) -> None:
        paths, ids = ("x.pdf", "y.pdf", "z.pdf"), ("a", "b")
        with Index.open(postgres_address).writer() as writer:
            for _ in range(25):
                path, id = chance.choice(paths), chance.choice(ids)
                action = chance.randrange(6)
                if action < 2:
                    put(writer, id, *chance.choice((("one",), ("two", "three"))), path=path)
                elif action == 2:
                    writer.alias(path, id, recipe="r")
                elif action == 3:
                    writer.move(path, chance.choice(paths))
                elif action == 4:
                    writer.remove(path, id)
                else:
                    document, chunks, _ = made_of(id, "one", "four")
                    writer.put_text(path, document, chunks, recipe="r")
                    lacking = writer.lacking(id)
                    vectors = EMBEDDER.encode([chunk.text for chunk in lacking.values()])
                    writer.keep(dict(zip(lacking, vectors, strict=True)))
                    writer.settle(id)

    at_once(*(lambda n=n: work(random.Random(f"{seed} {n}")) for n in range(3)))
    assert verify_index(postgres_address) == ()
    own = schema(postgres_address)
    for table in ("chunks", "pages", "vectors", "waiting"):
        assert not postgres.execute(
            f"SELECT 1 FROM {own}.{table} "
            f"WHERE document NOT IN (SELECT document FROM {own}.sources)"
        )
    assert not postgres.execute(
        f"SELECT 1 FROM {own}.postings WHERE row NOT IN (SELECT row FROM {own}.chunks)"
    )


def test_several_that_make_an_index_at_once_make_one(postgres_address: str) -> None:
    def make() -> None:
        Index.open_or_create(postgres_address, embedder=EMBEDDER)

    at_once(*[make] * 4)
    assert Index.open(postgres_address, embedder=EMBEDDER).sources() == ()


# ---- Who may, and where ----------------------------------------------------------------------


@pytest.fixture
def locked(postgres: PostgresServer, postgres_address: str) -> Iterator[str]:
    """The address for the user who needs a password and may make nothing."""
    yield postgres.address(schema(postgres_address), user="locked")


def with_password(address: str, password: str) -> str:
    return address.replace("locked@", f"locked:{quote(password, safe='')}@")


def told(error: pytest.ExceptionInfo[RagctxError]) -> str:
    """The message, once it is sure that no part of what was raised has the password."""
    seen: BaseException | None = error.value
    while seen is not None:
        for secret in (PASSWORD, quote(PASSWORD, safe=""), "wrong!"):
            assert secret not in f"{seen} {seen!r}"
        seen = seen.__cause__
    return str(error.value)


@pytest.mark.parametrize("password", ["", "wrong!"])
def test_a_wrong_password_is_refused_and_never_shown(locked: str, password: str) -> None:
    with pytest.raises(StoreError) as caught:
        Index.open(with_password(locked, password) if password else locked)
    assert "PGPASSWORD or ~/.pgpass" in told(caught)


@pytest.mark.parametrize("where", ["address", "query", "environment"])
def test_the_right_password_is_taken_and_never_shown(
    postgres: PostgresServer, locked: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = locked
    if where == "address":
        address = with_password(locked, PASSWORD)
    elif where == "query":
        address = locked.replace("?", f"?password={quote(PASSWORD, safe='')}&")
    else:
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with pytest.raises(StoreError) as caught:  # so far it may make nothing
        Index.create(address, embedder=EMBEDDER)
    assert "may not do that" in told(caught) and "GRANT" in told(caught)
    postgres.execute(f"CREATE SCHEMA {schema(locked)} AUTHORIZATION locked")
    postgres.execute("GRANT CREATE ON DATABASE postgres TO locked")
    try:
        index = index_with(address, {"a": ("text",)})
    finally:
        postgres.execute("REVOKE CREATE ON DATABASE postgres FROM locked")
    assert PASSWORD not in f"{index!r} {index.path} {index.path!r} {index.info()}"
    assert quote(PASSWORD, safe="") not in f"{index!r} {index.path} {index.path!r} {index.info()}"


def test_an_address_that_is_none_shows_no_password(postgres: PostgresServer) -> None:
    for address in (
        "postgresql://ann:pass%zzword@host/db",
        "postgresql://ann:pass%zzword@host:port/db",
        "postgresql://ann@host/db?password=pass%zzword&nothing=1",
        "postgresql://ann:pass%zzword@[::1/db",
        *(f"postgresql://ann:1{sign}zzword@host/db#own" for sign in "/#?"),
        "postgresql://ann:1@zzword/zzword@host/db",
    ):
        with pytest.raises(InputError) as caught:
            Index.open(address)
        assert "zzword" not in str(caught.value) and "zzword" not in repr(caught.value)


def test_one_who_may_only_read_reads(
    postgres: PostgresServer, postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_with(postgres_address, {"a": ("text",)})
    own = schema(postgres_address)
    postgres.execute(f"GRANT USAGE ON SCHEMA {own} TO locked")
    postgres.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {own} TO locked")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    index = Index.open(postgres.address(own, user="locked"), embedder=EMBEDDER)
    assert len(search(index, EMBEDDER, "text")) == 1
    with pytest.raises(StoreError, match=r"may not do that .* GRANT"), index.writer() as writer:
        put(writer, "b", "text")


def test_a_server_that_only_reads_is_told(postgres_address: str) -> None:
    index_with(postgres_address, {"a": ("text",)})
    options = quote("-c default_transaction_read_only=on")
    index = Index.open(postgres_address.replace("#", f"&options={options}#"))
    assert len(search(index, EMBEDDER, "text")) == 1
    with pytest.raises(StoreError, match="can only be read"), index.writer() as writer:
        put(writer, "b", "text")


def test_a_server_that_is_not_there_is_told(tmp_path: Path, postgres: PostgresServer) -> None:
    with pytest.raises(StoreError, match=r"cannot be reached .* Check that it runs"):
        Index.open(f"postgresql://ann@/library?host={tmp_path}")


def test_a_database_that_is_not_there_is_told(postgres: PostgresServer) -> None:
    with pytest.raises(IndexMissingError, match="createdb NAME"):
        Index.open(postgres.address(database="none"))


def test_a_schema_without_an_index_is_told(postgres_address: str) -> None:
    with pytest.raises(IndexMissingError, match="ragctx ingest PATH --index 'postgresql://"):
        Index.open(postgres_address)


# ---- Other tables ----------------------------------------------------------------------------


def test_another_embedder_is_refused(postgres_address: str) -> None:
    index_with(postgres_address, {"a": ("text",)})
    for other in (HashEmbedder(id="other@1"), HashEmbedder(dim=16)):
        for opening in (Index.open, Index.open_or_create):
            with pytest.raises(IndexMismatchError, match=rf"not with {other.id} \(dim {other.dim}"):
                opening(postgres_address, embedder=other)


def test_another_format_version_is_refused(postgres: PostgresServer, postgres_address: str) -> None:
    index = index_with(postgres_address, {"a": ("text",)})
    postgres.execute(
        f"UPDATE {schema(postgres_address)}.meta SET value = '99' WHERE key = 'format_version'"
    )
    with pytest.raises(IndexMismatchError, match="format version 99"):
        Index.open(postgres_address)
    with pytest.raises(IndexMismatchError, match="format version 99"), index.writer():
        pass


def test_another_program_s_tables_are_left_alone(
    postgres: PostgresServer, postgres_address: str
) -> None:
    own = schema(postgres_address)
    postgres.execute(f"CREATE SCHEMA {own}")
    postgres.execute(f"CREATE TABLE {own}.documents (id text)")
    for opening in (Index.create, Index.open_or_create, Index.open):
        with pytest.raises(IndexMismatchError, match="other tables"):
            opening(postgres_address, embedder=EMBEDDER)
    assert postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", own) == [
        ("documents",)
    ]


def test_an_index_that_is_there_is_not_made_again(postgres_address: str) -> None:
    index_with(postgres_address, {"a": ("text",)})
    with pytest.raises(StoreError, match="There is an index"):
        Index.create(postgres_address, embedder=EMBEDDER)


def test_a_table_that_is_gone_is_damage(postgres: PostgresServer, postgres_address: str) -> None:
    index = index_with(postgres_address, {"a": ("text",)})
    postgres.execute(f"ALTER TABLE {schema(postgres_address)}.chunks RENAME TO gone")
    with pytest.raises(IndexDamagedError, match="pg_restore"):
        search(index, EMBEDDER, "text")


def test_a_database_without_pgvector_is_told(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.execute("CREATE DATABASE bare OWNER locked")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    address = postgres.address(user="locked", database="bare")
    try:
        with pytest.raises(StoreError, match="CREATE EXTENSION vector"):
            Index.create(address, embedder=EMBEDDER)
        with monkeypatch.context() as patch:
            patch.setattr("ragctx.index.postgres.schema._EXTENSION", "no_such_extension")
            with pytest.raises(StoreError, match=r"has no pgvector.* apt install"):
                Index.create(address, embedder=EMBEDDER)
        index = index_with(postgres.address(database="bare"), {"a": ("text",)})
        postgres.execute("DROP EXTENSION vector CASCADE", database="bare")
        with pytest.raises(StoreError, match="has lost pgvector"):
            Index.open(str(index.path))
    finally:
        postgres.execute("DROP DATABASE bare WITH (FORCE)")


def test_a_pgvector_that_is_too_old_is_told(
    postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_with(postgres_address, {"a": ("text",)})
    monkeypatch.setattr("ragctx.index.postgres.schema._VECTOR_FROM", (99, 0))
    with pytest.raises(StoreError, match=r"needs 99.0 or newer.* ALTER EXTENSION vector UPDATE"):
        Index.open(postgres_address)


def test_a_database_of_another_encoding_is_refused(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    try:
        with pytest.raises(StoreError, match=r"LATIN1.* createdb --encoding UTF8"):
            Index.create(postgres.address(database="latin"), embedder=EMBEDDER)
    finally:
        postgres.execute("DROP DATABASE latin WITH (FORCE)")


def test_vectors_that_pgvector_cannot_hold_are_refused(postgres_address: str) -> None:
    with pytest.raises(StoreError, match=r"16,000 numbers at most.* --index DIR"):
        Index.create(postgres_address, embedder=HashEmbedder(dim=16_001))


def test_vectors_too_long_for_a_graph_are_compared_one_by_one(postgres_address: str) -> None:
    embedder = HashEmbedder(dim=4_001)
    index = Index.create(postgres_address, embedder=embedder)
    document, chunks, vectors = made_of("a", "text", "more", embedder=embedder)
    with index.writer() as writer:
        writer.put("a.pdf", document, chunks, vectors, recipe="r")
    assert search(index, embedder, "more", 1)[0].chunk.text == "more"


# ---- Opening ---------------------------------------------------------------------------------


def test_an_address_as_a_path_is_told() -> None:
    with pytest.raises(InputError, match="a text, not a Path"):
        Index.open(Path("postgresql://ann@db/library"))


def test_an_address_is_shown_so_that_it_can_be_given_again() -> None:
    options = "options=-c%20a%3Db+c&host=/tmp/x"
    address = PostgresAddress(f"postgresql://ann:geheim@/db?{options}&password=geheim#own")
    assert str(address) == f"postgresql://ann@/db?{options}#own"
    assert PostgresAddress(str(address)).conninfo == f"postgresql://ann@/db?{options}"
    assert address.conninfo == f"postgresql://ann:geheim@/db?{options}&password=geheim"
    for plain in ("postgresql://", "postgresql:///db", "postgres://a,b:5433/db"):
        assert str(PostgresAddress(plain)) == plain


@pytest.mark.parametrize("name", ["Manuals", "1a", "pg_mine", "a b", "a;drop"])
def test_a_schema_that_is_no_plain_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="the schema is"):
        Index.open(f"postgresql://ann@db/library#{name}")


def test_without_the_extra_it_is_named() -> None:
    code = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "from ragctx.cli.program import run\n"
        "sys.exit(run(['search', 'tin', '--index', 'postgresql://ann@db/library']))\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 1
    assert "pip install 'ragctx[postgres]'" in done.stderr and done.stderr.count("\n") == 1
