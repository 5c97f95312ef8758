"""A client on httpx: `httpx_client.py URL CA`. Prints what it saw as JSON."""

import asyncio
import json
import sys

import httpx

url, ca = sys.argv[1:3]


async def main():
    verify = httpx.create_ssl_context(verify=ca) if ca != "-" else False
    # Without http1 the client speaks HTTP/2 with prior knowledge on a cleartext connection.
    async with httpx.AsyncClient(http1=False, http2=True, verify=verify, timeout=20) as client:
        answers = await asyncio.gather(*(client.get(f"{url}/h1/{n}") for n in range(50)))
        posted = await client.post(f"{url}/h1/upload", content=b"x" * 100_000)
        head = await client.head(f"{url}/h1/head")
        print(
            json.dumps(
                {
                    "versions": sorted({answer.http_version for answer in answers}),
                    "statuses": sorted({answer.status_code for answer in answers}),
                    "paths": [answer.json()["path"] for answer in answers],
                    "posted": posted.json()["size"],
                    "head": [head.status_code, len(head.content)],
                }
            )
        )


asyncio.run(main())
