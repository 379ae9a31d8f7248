"""A kernel in a real box that sends whatever it likes: an honest cell still works after it, or there is a sentence."""

import json

import pytest
from hypothesis import strategies as st

from coursekit.records import Limits
from coursekit.sandbox.kernel import Kernel
from fuzzing import fuzzed
from made_up import EXTRA, JUNK, TEXTS, as_bytes, damaged, near, record

pytestmark = pytest.mark.box

LIMITS = Limits(memory_bytes=1_000_000_000, message_bytes=1_000_000, output_bytes=1_000_000)
SAID = 6 * 7
SEND = """
import json, os, socket
from ipykernel.kernelapp import IPKernelApp
kernel, iopub = get_ipython().kernel, IPKernelApp.instance().iopub_socket
session = kernel.session
def raw_end():
    for descriptor in range(3, 200):
        try:
            made = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue
        if made.family == socket.AF_UNIX and not made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            if str(made.getsockname()).endswith("k-2"):
                return made
def send(kind, first, second):
    first, second = first.encode("latin-1"), second.encode("latin-1")
    parent = session.pack(kernel.get_parent("shell")["header"])
    if kind == "signed":
        header = session.pack(session.msg_header(first.decode("latin-1")))
        parts = [header, parent, b"{}", second]
        iopub.send_multipart([b"x", b"<IDS|MSG>", session.sign(parts), *parts])
    elif kind == "headed":
        parts = [first, parent, b"{}", second]
        iopub.send_multipart([b"x", b"<IDS|MSG>", session.sign(parts), *parts])
    elif kind == "frames":
        iopub.send_multipart([first, second, b"<IDS|MSG>", first])
    else:
        raw_end().sendall(first + second)
"""
KINDS = ["stream", "error", "status", "display_data", "execute_result", "execute_reply", "comm_open", "clear_output"]
CONTENTS = record(
    name=near(TEXTS),
    text=near(TEXTS),
    data=near(record(**{"text/plain": near(TEXTS), "application/json": JUNK}, also=EXTRA)),
    execution_state=near(st.sampled_from(["idle", "busy", "dead"])),
    ename=near(TEXTS),
    evalue=near(TEXTS),
    traceback=near(st.lists(TEXTS, max_size=2)),
    also=EXTRA,
)
HEADERS = record(msg_type=near(st.sampled_from(KINDS)), msg_id=JUNK, session=JUNK, also=EXTRA)
ZMTP = [b"\0\5hello", b"\1\2ab\0\1c", b"\2" + (300).to_bytes(8, "big") + bytes(300), b"\4\5READY"]
ONE = st.one_of(
    st.tuples(st.just("signed"), st.sampled_from(KINDS).map(str.encode), near(CONTENTS, odds=3).map(as_bytes)),
    st.tuples(st.just("signed"), st.sampled_from(KINDS).map(str.encode), near(CONTENTS).map(as_bytes)),
    st.tuples(st.just("headed"), HEADERS.map(as_bytes), CONTENTS.map(as_bytes)),
    st.tuples(st.just("frames"), st.binary(max_size=30), JUNK.map(as_bytes)),
    st.tuples(st.just("raw"), damaged(ZMTP), st.binary(max_size=10)),
)
SENT = st.lists(ONE, min_size=1, max_size=8).map(
    lambda batch: [[kind, first.decode("latin-1"), second.decode("latin-1")] for kind, first, second in batch]
)


class Boxed:
    """A kernel in a box, and another once that one has ended."""

    kernel = None

    def running(self):
        if self.kernel is not None and self.kernel.stopped:
            self.close()
        if self.kernel is None:
            self.kernel = Kernel("bwrap", LIMITS, {})
            assert self.kernel.run_cell(SEND, 20).error is None
        return self.kernel

    def close(self):
        if self.kernel is not None:
            self.kernel.close()
        self.kernel = None


@pytest.fixture(scope="module")
def boxed():
    made = Boxed()
    yield made
    made.close()


@fuzzed(
    "kernels", SENT, examples=4, weight=4, slow=True, write=lambda batch: json.dumps(batch).encode(), read=json.loads
)
def test_after_any_messages_an_honest_cell_still_works_or_the_box_has_ended_with_a_sentence(batch, boxed):
    kernel = boxed.running()
    for kind, first, second in batch:
        result = kernel.run_cell(f"send({kind!r}, {first!r}, {second!r})", 3)
        json.loads(json.dumps(result.outputs))
        if result.stopped:
            assert result.stopped.isprintable()
            assert len(result.stopped) < 200
            return
    result = kernel.run_cell(f"print({SAID})", 3)
    answer = kernel.call("send", ["none"], 3)
    assert kernel.stopped.isprintable()
    if any(kind == "raw" for kind, *_ in batch):
        boxed.close()  # half a frame may swallow whatever follows it
    elif not kernel.stopped:
        assert f"{SAID}\n" in [each["text"] for each in result.outputs if "text" in each]
        assert answer.raised == "TypeError"
