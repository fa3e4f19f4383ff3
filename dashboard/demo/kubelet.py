"""A fake kubelet (stub, replaced below)."""
from __future__ import annotations
import asyncio
from dashboard.demo.api import Api
class Kubelet:
    def __init__(self, api: Api) -> None:
        self.api = api
    async def run(self) -> None:
        while True:
            await asyncio.sleep(1)
