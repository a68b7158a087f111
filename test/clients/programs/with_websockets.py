# The `websockets` package of Python. `with_websockets.py URL` prints what happened as JSON.
import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

URL = sys.argv[1]
TEXT = "grüß dich 👋 "


def content(length):
    return bytes((i * 31 + (i >> 8)) & 255 for i in range(length))


async def echoed(socket, data):
    await socket.send(data)
    return await socket.recv() == data


async def end(socket):
    try:
        while True:
            await socket.recv()
    except ConnectionClosed:
        return {"code": socket.close_code, "reason": socket.close_reason, "wasClean": socket.close_code != 1006}


async def main():
    options = {"max_size": 16 << 20}
    socket = await connect(URL + "/", subprotocols=["strange", "known"], **options)
    result = {
        "protocol": socket.subprotocol,
        "extensions": socket.response.headers.get("Sec-WebSocket-Extensions", ""),
        "text": await echoed(socket, TEXT),
        "binary": await echoed(socket, content(256)),
        "empty": await echoed(socket, ""),
        "compressible": await echoed(socket, TEXT * 10_000),
        "large": await echoed(socket, content(3 << 20)),
    }
    # In fragments: an iterable is sent as one message.
    await socket.send(["in ", "three ", "parts"])
    result["fragments"] = await socket.recv() == "in three parts"
    await (await socket.ping("are you there?"))
    result["pong"] = "are you there?"
    await socket.close(4001, "bye")
    result["closedByUs"] = await end(socket)

    other = await connect(URL + "/", **options)
    await other.send("close 4002 go away")
    result["closedByServer"] = await end(other)

    silent = await connect(URL + "/silent", ping_interval=None, **options)
    await asyncio.sleep(1.5)
    result["alive"] = await echoed(silent, "still here")
    await silent.close()
    result["closedWithoutCode"] = (await end(silent))["code"]
    print(json.dumps(result))


asyncio.run(main())
