"""Lines of the log: those of a turn of the event loop together, and none kept back when no loop will write it."""

from __future__ import annotations

import asyncio
import io

from gateway.logs import LineBuffer


class Writes(io.BytesIO):
    """Notes each write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.each: list[bytes] = []

    def write(self, line: bytes) -> int:  # type: ignore[override]
        self.each.append(line)
        return len(line)


def test_the_lines_of_a_turn_are_written_together() -> None:
    file = Writes()
    lines = LineBuffer(file)

    async def turns() -> None:
        for line in (b"1\n", b"2\n"):
            lines.put(line)
        await asyncio.sleep(0)
        lines.put(b"3\n")
        await asyncio.to_thread(lines.put, b"4\n")

    asyncio.run(turns())
    assert file.each[0] == b"1\n2\n"
    assert b"".join(file.each) == b"1\n2\n3\n4\n"


def test_a_line_behind_a_loop_that_stopped_is_not_kept_back() -> None:
    file = Writes()
    lines, loop = LineBuffer(file), asyncio.new_event_loop()

    def last_words() -> None:
        loop.stop()
        loop.call_soon(lines.put, b"1\n")

    loop.call_soon(last_words)
    loop.call_soon(lines.put, b"0\n")
    loop.run_forever()
    lines.put(b"2\n")
    assert b"".join(file.each) == b"0\n2\n"
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    lines.put(b"3\n")
    assert b"".join(file.each) == b"0\n2\n1\n3\n"
