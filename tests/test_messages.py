"""Messages from a kernel are bytes from a stranger."""

from __future__ import annotations

import json

import pytest

from coursekit.sandbox import messages
from coursekit.sandbox.messages import Malformed
from coursekit.sandbox.relay import Frames


def frames(kind="stream", content=b'{"name":"stdout","text":"hi"}', parent=b'{"msg_id":"p"}', header=None):
    """A message as it comes; `content` is JSON or what can be written as JSON."""
    written = content if isinstance(content, bytes) else json.dumps(content).encode()
    if header is None:
        header = json.dumps({"msg_type": kind, "msg_id": "m", "session": "s"}).encode()
    return [b"topic", b"<IDS|MSG>", b"signature", header, parent, b"{}", written]


def output(kind, content):
    return messages.output(messages.parse(frames(kind, content)))


def test_a_message_is_its_type_the_request_it_answers_and_its_content():
    message = messages.parse(frames())
    assert (message.kind, message.parent) == ("stream", "p")
    assert messages.content(message, messages.Stream).text == "hi"


def test_a_message_that_answers_nothing_has_no_parent():
    assert messages.parse(frames(parent=b"{}")).parent == ""


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    "hostile",
    [
        [],
        [b""],
        [b"<IDS|MSG>"],
        [b"<IDS|MSG>", b"", b"{}"],
        frames()[:-1],
        frames(header=b""),
        frames(header=b"null"),
        frames(header=b"[]"),
        frames(header=b"{}"),
        frames(header=b'{"msg_type":1}'),
        frames(header=b'{"msg_type":"\xff"}'),
        frames(header=b'{"msg_type":"\\ud800"}'),
        frames(header=b'{"msg_type":' + DEEP + b"}"),
        frames(header=b'{"msg_type":"x","extra":' + DEEP + b"}"),
        frames(header=b'{"msg_type":"x","msg_id":' + b"9" * 5000 + b"}"),
        frames(parent=b"NaN"),
        frames(parent=b'{"msg_id":null}'),
    ],
    ids=range(17),
)
def test_what_is_no_message_is_malformed(hostile):
    with pytest.raises(Malformed):
        messages.parse(hostile)


@pytest.mark.parametrize("kind", [messages.Stream, messages.Display, messages.Error, messages.State])
@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{}", b"NaN", b"\xff", DEEP, b'{"a":' * 100_000, b'{"data":[1],"text":1,"ename":{}}'],
    ids=range(9),
)
def test_content_that_is_not_what_its_type_says_is_malformed(kind, content):
    message = messages.parse(frames(content=content))
    with pytest.raises(Malformed):
        messages.content(message, kind)


def test_text_that_is_not_a_record_is_malformed():
    with pytest.raises(Malformed):
        messages.read_json("[" * 100_000, messages.State)


def test_a_stream_with_another_name_is_stdout():
    assert output("stream", {"name": "../../etc", "text": "x"})["name"] == "stdout"
    assert output("stream", {"name": "stderr", "text": "x"})["name"] == "stderr"


def test_shown_data_keeps_text_and_json_and_drops_the_rest():
    data = {"text/plain": "1", "image/png": [1], "application/json": {"a": [1]}, "text/html": None}
    assert output("display_data", {"data": data})["data"] == {"text/plain": "1", "application/json": {"a": [1]}}


def test_shown_json_that_is_too_deep_to_write_down_is_dropped():
    deep = json.loads("[" * 500 + "]" * 500)
    assert output("execute_result", {"data": {"application/json": deep, "text/plain": "1"}})["data"] == {
        "text/plain": "1"
    }


def test_an_error_keeps_its_name_its_words_and_its_trace():
    shown = output("error", {"ename": "E", "evalue": "v", "traceback": ["t"], "more": 1})
    assert shown == {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]}


def test_other_messages_are_no_outputs():
    assert output("comm_open", {"data": {}}) is None


def test_text_in_one_stream_becomes_one_output():
    outputs = []
    for name, text in (("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d")):
        messages.append(outputs, output("stream", {"name": name, "text": text}))
    assert [each["text"] for each in messages.joined(outputs)] == ["ab", "c", "d"]
    assert all("parts" not in each for each in messages.joined(outputs))


# --- frames of the connection below ---------------------------------------------------------------------------------

GREETING = b"\xff" + b"\0" * 63


def stream(*parts):
    """Frames as ZMTP writes them; each is (flags, bytes)."""
    written = b""
    for flags, data in parts:
        size = len(data)
        written += bytes([flags | (2 if size > 255 else 0)]) + size.to_bytes(8 if size > 255 else 1, "big") + data
    return GREETING + written


def followed(data, step, most=1000):
    follower = Frames(most)
    for at in range(0, len(data), step):
        follower.follow(data[at : at + step])
    return follower.too_much


@pytest.mark.parametrize("step", [1, 7, 64, 100_000])
def test_messages_within_the_limit_are_let_through_however_they_are_cut(step):
    assert not followed(stream((4, b"READY"), *[(1, b"x" * 300), (1, b""), (0, b"y" * 600)] * 50), step)


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_message_over_the_limit_is_too_much(step):
    assert followed(stream((1, b"x" * 600), (0, b"y" * 600)), step)


def test_a_message_is_too_much_before_its_bytes_have_come():
    assert followed(GREETING + b"\2" + (10**9).to_bytes(8, "big"), 1000)


def test_a_message_of_endlessly_many_frames_is_too_much():
    assert followed(stream(*[(1, b"")] * 100), 1000)
