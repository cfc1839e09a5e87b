"""A voice agent in the Python of the field: the `websockets` package and nothing of ours.

Prints the port it listens on, serves one call, prints what it saw as one line of JSON.
It says a second of tone, waits until that has been played, listens to the caller until a key
is pressed, asks for a transfer, and after its failure says a line for the transcript and hangs up.
"""

import asyncio
import base64
import json

import websockets


def tone(seconds):
    """A square wave of 400 Hz in µ-law: 0x9f and 0x1f are the same loudness, up and down."""
    period = b"\x9f" * 10 + b"\x1f" * 10
    return period * int(seconds * 400)


async def main():
    done = asyncio.get_running_loop().create_future()
    saw = {"events": [], "heard": 0, "loud": 0}

    async def call(socket):
        stream = None

        async def send(event, **fields):
            await socket.send(json.dumps({"event": event, "streamSid": stream, **fields}))

        async for text in socket:
            message = json.loads(text)
            event = message["event"]
            if event == "media":
                payload = base64.b64decode(message["media"]["payload"])
                saw["heard"] += len(payload)
                saw["loud"] += sum(1 for byte in payload if byte & 0x7F < 0x50)
                continue
            saw["events"].append(event)
            if event == "start":
                stream = message["start"]["streamSid"]
                saw["start"] = message["start"]
                await send("media", media={"payload": base64.b64encode(tone(1)).decode()})
                await send("mark", mark={"name": "hello said"})
            elif event == "mark":
                saw["mark"] = message["mark"]["name"]
            elif event == "dtmf":
                saw["digit"] = message["dtmf"]["digit"]
                await send("transfer", target="Sales")
            elif event == "transfer":
                saw.setdefault("transfer", []).append(message["transfer"]["state"])
                if message["transfer"]["state"] == "failed":
                    saw["cause"] = message["transfer"]["cause"]
                    await send("transcript", speaker="agent", text="Sales is busy.")
                    await send("hangup", reason="nobody there")
            elif event == "stop":
                saw["reason"] = message["stop"]["reason"]
        done.set_result(socket.close_code)

    async with websockets.serve(call, "127.0.0.1", 0) as server:
        print(list(server.sockets)[0].getsockname()[1], flush=True)
        saw["close_code"] = await done
    print(json.dumps(saw), flush=True)


asyncio.run(main())
