"""Folders in which something is made: empty at first, gone at last, whatever happens."""

import shutil
import sys

import pytest

from coursekit.making import beside


def test_a_folder_is_there_for_the_block_and_gone_after_it(tmp_path):
    with beside(tmp_path) as made:
        assert made.parent == tmp_path
        assert made.name.startswith(".making-")
        assert list(made.iterdir()) == []
        (made / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_it_is_gone_if_the_block_raises(tmp_path):
    def break_off():
        with beside(tmp_path) as made:
            (made / "file").write_text("x")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        break_off()
    assert list(tmp_path.iterdir()) == []


def test_it_is_gone_if_something_is_told_to_stop_while_it_is_removed(tmp_path):
    """As by a signal: the interruption comes when the first folder is about to be removed."""

    def interrupt(frame, event, _):
        if event == "call" and frame.f_code.co_name == "_rmtree_safe_fd":
            sys.setprofile(None)
            raise KeyboardInterrupt

    def stop_in_the_middle():
        with beside(tmp_path) as made:
            (made / "file").write_text("x")
            sys.setprofile(interrupt)

    assert shutil.rmtree.avoids_symlink_attacks
    with pytest.raises(KeyboardInterrupt):
        stop_in_the_middle()
    assert list(tmp_path.iterdir()) == []
