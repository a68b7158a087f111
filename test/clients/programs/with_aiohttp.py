# The client of `aiohttp` for Python. `with_aiohttp.py URL` prints what happened as JSON.
import asyncio
import json
import sys

import aiohttp

URL = sys.argv[1]
TEXT = "grüß dich 👋 "


def content(length):
    return bytes((i * 31 + (i >> 8)) & 255 for i in range(length))


async def echoed(socket, data):
    if isinstance(data, str):
        await socket.send_str(data)
    else:
        await socket.send_bytes(data)
    return (await socket.receive()).data == data


async def end(socket):
    last = None
    while not socket.closed:
        message = await socket.receive()
        if message.type == aiohttp.WSMsgType.CLOSE:
            last = message
    return {"code": socket.close_code, "reason": last.extra if last else "", "wasClean": socket.close_code != 1006}


async def main():
    async with aiohttp.ClientSession() as session:
        options = {"compress": 15, "max_msg_size": 16 << 20}
        socket = await session.ws_connect(URL + "/", protocols=["strange", "known"], autoping=False, **options)
        result = {
            "protocol": socket.protocol,
            "extensions": "permessage-deflate" if socket.compress else "",
            "text": await echoed(socket, TEXT),
            "binary": await echoed(socket, content(256)),
            "empty": await echoed(socket, ""),
            "compressible": await echoed(socket, TEXT * 10_000),
            "large": await echoed(socket, content(3 << 20)),
        }
        await socket.ping(b"are you there?")
        result["pong"] = bytes((await socket.receive()).data).decode()
        await socket.close(code=4001, message=b"bye")
        result["closedByUs"] = {"code": socket.close_code}

        other = await session.ws_connect(URL + "/", autoclose=True, **options)
        await other.send_str("close 4002 go away")
        result["closedByServer"] = await end(other)

        silent = await session.ws_connect(URL + "/silent", **options)
        listening = asyncio.create_task(silent.receive())
        await asyncio.sleep(1.5)
        await silent.send_str("still here")
        result["alive"] = (await listening).data == "still here"
        await silent.close()
        result["closedWithoutCode"] = silent.close_code
    print(json.dumps(result))


asyncio.run(main())
