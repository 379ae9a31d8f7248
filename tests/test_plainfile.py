"""One file that a stranger made: read if it is one, refused with a sentence if not."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from coursekit.errors import MissingWork, StudentError, UnreadableWork
from coursekit.plainfile import plain_files, read_below, read_file

MOST = 1000


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "submission").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path / "submission"


def refused(folder, path, words, error=UnreadableWork):
    with pytest.raises(error, match=re.escape(words)):
        read_below(folder, path, MOST)


def test_an_ordinary_file_is_read(folder):
    (folder / "a").mkdir()
    (folder / "a" / "b").write_bytes(b"data")
    assert read_below(folder, "a/b", 4) == b"data"
    assert read_below(folder, "./a//b", 4) == b"data"


def test_an_empty_file_is_read(folder):
    (folder / "a").touch()
    assert read_below(folder, "a", MOST) == b""


def test_a_link_is_refused(folder):
    (folder / "a").symlink_to("../secret")
    refused(folder, "a", "'a' is a link; it must be an ordinary file.")


def test_a_dangling_link_is_refused(folder):
    (folder / "a").symlink_to("nowhere")
    refused(folder, "a", "'a' is a link")


def test_a_link_to_itself_is_refused(folder):
    (folder / "a").symlink_to("a")
    refused(folder, "a", "'a' is a link")


def test_a_folder_that_is_a_link_is_refused(folder):
    (folder / "a").symlink_to("..")
    refused(folder, "a/secret", "'a/secret' leads through a link or a file")


def test_a_file_instead_of_a_folder_is_refused(folder):
    (folder / "a").touch()
    refused(folder, "a/b", "'a/b' leads through a link or a file")


def test_a_named_pipe_is_refused_without_waiting(folder):
    os.mkfifo(folder / "a")
    refused(folder, "a", "'a' is a named pipe")


def test_a_socket_is_refused(folder):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "a"))
        refused(folder, "a", "'a' is a socket")


def test_a_folder_is_refused(folder):
    (folder / "a").mkdir()
    refused(folder, "a", "'a' is a folder")


def test_a_device_is_refused():
    with pytest.raises(UnreadableWork, match="'null' is a device"):
        read_below(Path("/dev"), "null", MOST)


def test_a_hard_link_is_refused(folder):
    (folder / "a").hardlink_to(folder.parent / "secret")
    refused(folder, "a", "'a' is a link to another file")


def test_a_file_over_the_limit_is_refused(folder):
    (folder / "a").write_bytes(b"x" * (MOST + 1))
    refused(folder, "a", "'a' has 1,001 bytes; at most 1,000 are accepted.")


def test_a_sparse_file_over_the_limit_is_refused_without_reading(folder):
    with (folder / "a").open("wb") as file:
        file.truncate(10**12)
    refused(folder, "a", "'a' has 1,000,000,000,000 bytes")


@pytest.mark.parametrize("path", ["/etc/passwd", "..", "../secret", "a/../../secret", "", ".", "a\0b"])
def test_a_path_that_leads_out_is_refused(folder, path):
    with pytest.raises(UnreadableWork, match="is not a path inside the submission"):
        read_below(folder, path, MOST)


def test_a_name_that_is_too_long_is_refused(folder):
    refused(folder, "a" * 300, "cannot be opened: File name too long.")


def test_a_missing_file_is_missing(folder):
    refused(folder, "a", "There is no file 'a'.", MissingWork)


def test_a_file_in_a_missing_folder_is_missing(folder):
    refused(folder, "a/b", "There is no file 'a/b'.", MissingWork)


def test_a_missing_root_is_missing(folder):
    refused(folder / "b", "a", "There is no folder 'b'.", MissingWork)


def test_a_root_that_is_a_link_is_not_followed(folder):
    (folder / "b").symlink_to("..")
    refused(folder / "b", "secret", "There is no folder 'b'.", MissingWork)


def test_a_file_that_changes_while_it_is_read_never_leads_elsewhere(folder):
    """Swapped for a link, a pipe and a larger file again and again: what comes back is the file, or a sentence."""
    (folder / "a").write_bytes(b"mine")
    done = threading.Event()

    def swap():
        makers = [
            lambda path: path.symlink_to("../secret"),
            os.mkfifo,
            lambda path: path.write_bytes(b"y" * (MOST + 1)),
            lambda path: path.write_bytes(b"mine"),
        ]
        while not done.is_set():
            for make in makers:
                (folder / "new").unlink(missing_ok=True)
                make(folder / "new")
                (folder / "new").rename(folder / "a")

    thread = threading.Thread(target=swap)
    thread.start()
    results = set()
    try:
        for _ in range(500):
            try:
                results.add(read_below(folder, "a", MOST))
            except StudentError as error:
                results.add(type(error))
    finally:
        done.set()
        thread.join()
    assert results <= {b"mine", b"", UnreadableWork, MissingWork}  # empty: between being made and being written


def test_no_descriptor_is_left_open(folder):
    (folder / "a").symlink_to("../secret")
    (folder / "b").write_bytes(b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("a", "b", "b/c", "missing", "a/b", ".."):
        try:
            read_below(folder, path, MOST)
        except StudentError:
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_open_folder_is_what_counts_not_its_name(folder):
    (folder / "a").write_bytes(b"mine")
    root = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        folder.rename(folder.with_name("moved"))
        folder.mkdir()
        (folder / "a").write_bytes(b"other")
        assert read_file(root, "a", MOST) == b"mine"
    finally:
        os.close(root)


# --- whole folders --------------------------------------------------------------------------------------------------


def test_ordinary_files_of_a_folder_are_listed_with_their_sizes(folder):
    (folder / "a").mkdir()
    (folder / "a" / "b.csv").write_bytes(b"123")
    (folder / "c.txt").write_bytes(b"1")
    assert plain_files(folder, MOST) == {"a/b.csv": 3, "c.txt": 1}


def test_links_pipes_hidden_files_and_caches_are_not_listed(folder):
    (folder / "a").symlink_to("../secret")
    (folder / "b").symlink_to("..")
    (folder / "c").hardlink_to(folder.parent / "secret")
    os.mkfifo(folder / "d")
    (folder / ".e").write_bytes(b"x")
    for name in (".git", "__pycache__"):
        (folder / name).mkdir()
        (folder / name / "f").write_bytes(b"x")
    assert plain_files(folder, MOST) == {}


def test_no_more_is_listed_than_asked_for(folder):
    for name in "abc":
        (folder / name).write_bytes(b"x" * 400)
    assert list(plain_files(folder, MOST)) == ["a", "b"]
    assert list(plain_files(folder, MOST, max_files=1)) == ["a"]


def test_folders_nested_thousands_deep_are_left_out(folder):
    (folder / "a").write_bytes(b"x")
    at = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    for _ in range(3000):
        os.mkdir("deep", dir_fd=at)
        below = os.open("deep", os.O_PATH | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    found = plain_files(folder, MOST)
    subprocess.run(["/bin/rm", "-rf", str(folder)], check=True)  # pytest itself could not delete it
    assert found == {"a": 1}


def test_a_folder_that_is_not_there_has_no_files(folder):
    assert plain_files(folder / "b", MOST) == {}


def test_a_generous_limit_costs_a_small_file_no_memory(folder):
    (folder / "small").write_bytes(b"x")
    assert read_below(folder, "small", 10**18) == b"x"
