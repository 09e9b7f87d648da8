"""A shop on loopback, made with FastAPI, which tells its own OpenAPI document."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import uvicorn
from fastapi import Body, Cookie, FastAPI, Form, Header, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field


class Size(StrEnum):
    """How large."""

    small = "small"
    large = "large"


class Line(BaseModel):
    """One line of an order."""

    title: str = Field(description="Of the record.")
    count: int = Field(1, ge=1)
    size: Size | None = None


class Order(BaseModel):
    """An order, and those that belong to it."""

    lines: list[Line]
    note: str | None = None
    parts: list[Order] = []


def shop() -> FastAPI:
    """The application; `app.state.asked` keeps what it was asked."""
    app = FastAPI(title="Shop", servers=[{"url": "https://shop.example.org"}])
    app.state.asked = []

    @app.middleware("http")
    async def note(request: Request, following: Any) -> Any:
        app.state.asked.append((request.method, str(request.url.path), request.url.query, dict(request.headers)))
        return await following(request)

    @app.get("/orders/{order_id}", operation_id="getOrder")
    async def get_order(order_id: int) -> dict[str, Any]:
        """Look an order up."""
        if order_id == 404:
            raise HTTPException(404, "no such order")
        return {"id": order_id, "state": "sent"}

    @app.get("/orders", operation_id="listOrders")
    async def list_orders(
        state: Annotated[list[str] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 10,
        x_trace: Annotated[str, Header()] = "",
        basket: Annotated[str, Cookie()] = "",
    ) -> dict[str, Any]:
        return {"state": state, "limit": limit, "trace": x_trace, "basket": basket}

    @app.post("/orders", operation_id="placeOrder", status_code=201)
    async def place(order: Order) -> dict[str, Any]:
        return {"placed": order.model_dump(mode="json")}

    _changing(app)
    _odd(app)
    return app


def _changing(app: FastAPI) -> None:
    """Operations that change or drop."""

    @app.put("/orders/{order_id}", operation_id="changeOrder")
    async def change(order_id: int, note: Annotated[str, Body(embed=True)]) -> dict[str, Any]:
        return {"id": order_id, "note": note}

    @app.delete("/orders/{order_id}", operation_id="dropOrder", status_code=204)
    async def drop(order_id: int) -> Response:
        return Response(status_code=204)

    @app.delete("/orders/{order_id}/items", operation_id="dropItems", status_code=204)
    async def drop_items(order_id: int) -> Response:
        return Response(status_code=204)


def _odd(app: FastAPI) -> None:
    """Operations that answer in other ways."""

    @app.get("/members/{name}", operation_id="getMember")
    async def member(name: str) -> str:
        return f"member {name!r}"

    @app.post("/login", operation_id="logIn")
    async def log_in(user: Annotated[str, Form()], tags: Annotated[list[str], Form()]) -> dict[str, Any]:
        return {"user": user, "tags": tags}

    @app.get("/mirror", operation_id="mirror")
    async def mirror(request: Request) -> dict[str, str]:
        return dict(request.headers) | {"asked": str(request.url)}

    @app.get("/away", operation_id="away")
    async def away(to: str) -> Response:
        return Response(status_code=302, headers={"location": to})

    @app.get("/picture", operation_id="picture")
    async def picture() -> Response:
        return Response(b"\x89PNG\x00", media_type="image/png")

    @app.get("/slow", operation_id="slow")
    @app.post("/slow", operation_id="slowPost")
    def slow() -> str:
        time.sleep(6)
        return "late"


@contextmanager
def serving(app: Any) -> Iterator[int]:
    """Serves an application on a free port of loopback, which it gives."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(5)
