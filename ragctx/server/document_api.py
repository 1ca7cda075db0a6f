"""Requests about documents: which there are, new ones, pages as pictures and as text."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ragctx.errors import DocumentError, InputError, MissingExtraError
from ragctx.file_formats import text_format_of, unit_of
from ragctx.formats.read import read_document
from ragctx.ingest_ledger import IngestRow
from ragctx.ingestion.progress import Progress
from ragctx.pdf.page_image import PageImage
from ragctx.pdf.read import read_pdf
from ragctx.server import pages
from ragctx.server.asking import takes_events
from ragctx.server.events import EventStream, Line
from ragctx.server.queueing import Queue, in_thread
from ragctx.server.service import Service
from ragctx.server.uploads import Arrival, file_name_of, folder_for, received
from ragctx.text.wording import counted
from ragctx.views import View, ingest_row_view


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentApi:
    """The handlers of documents."""

    service: Service
    queue: Queue
    max_upload_bytes: int

    async def documents(self, request: Request) -> Response:
        """What is in the index, and how large a file may be that is added."""
        sources = [asdict(source) for source in await in_thread(self.service.sources)]
        return JSONResponse({"sources": sources, "max_upload_bytes": self.max_upload_bytes})

    async def upload(self, request: Request) -> Response | EventStream:
        """Take in a document, and tell its row of the ingest ledger."""
        path = folder_for(self.service.index.path) / file_name_of(request.path_params["document"])
        self.queue.require_place()
        arrival = await received(request.stream(), path)
        if not takes_events(request):
            row = await self._taken_in(arrival, Progress())
            return JSONResponse(row, 200 if row["outcome"] != "failed" else 422)

        async def work(line: Line) -> None:
            progress = Progress(
                on_page=lambda path, done, pages: line.mention(
                    "page", {"done": done, "pages": pages}
                ),
                on_embedded=lambda done, chunks: line.mention(
                    "embedded", {"done": done, "chunks": chunks}
                ),
            )
            line.mention("row", await self._taken_in(arrival, progress))

        return EventStream(work)

    async def _taken_in(self, arrival: Arrival, progress: Progress) -> View:
        """The row of a file that has come, when it is its turn."""
        try:
            async with self.queue.writers:
                return ingest_row_view(await in_thread(self._settled, arrival, progress))
        finally:
            arrival.unfinished.unlink(missing_ok=True)

    def _settled(self, arrival: Arrival, progress: Progress) -> IngestRow:
        """The row of a file that is put in its place; what is new and cannot be read goes again.

        Raises InputError for one that cannot be read where there is another one.
        """
        is_new = not arrival.path.exists()
        if not is_new:
            self._require_readable(arrival)
        os.replace(arrival.unfinished, arrival.path)
        outcome = "failed"
        try:
            row = self.service.add(arrival.path, progress)
            outcome = row.outcome
        finally:
            if is_new and outcome == "failed":
                arrival.path.unlink(missing_ok=True)
        return row

    def _require_readable(self, arrival: Arrival) -> None:
        try:
            format = text_format_of(arrival.path.name)
            if format is None:
                read_pdf(arrival.unfinished, password=self.service.password)
            else:
                read_document(arrival.unfinished, format=format)
        except MissingExtraError as error:
            raise InputError(str(error)) from None
        except DocumentError as error:
            raise InputError(
                f"the new {arrival.path.name!r} cannot be read ({error.status}); the one that was "
                "here stays"
            ) from None

    async def remove(self, request: Request) -> Response:
        """Take a document out of the index; its file goes only if it was uploaded."""
        uploads = folder_for(self.service.index.path).resolve()

        def work() -> list[View]:
            removed = self.service.remove(request.path_params["document"])
            for path in (Path(source.path) for source in removed):
                if path.parent.resolve() == uploads:
                    path.unlink(missing_ok=True)
            return [asdict(source) for source in removed]

        async with self.queue.writers:
            return JSONResponse({"removed": await in_thread(work)})

    async def page_png(self, request: Request) -> Response:
        """A page as it looks, with a quote marked."""
        image = await self._drawn(request)
        return Response(image.png, media_type="image/png")

    async def page_boxes(self, request: Request) -> Response:
        """Where a quote is on the picture of a page."""
        return JSONResponse(pages.boxes_view(await self._drawn(request)))

    async def page_text(self, request: Request) -> Response:
        """A page or section as it was read."""
        number = pages.page_number(request.path_params["page"])
        document = await in_thread(self.service.document, request.path_params["document"])
        if number > len(document.pages):
            count = counted(len(document.pages), unit_of(document.path))
            raise LookupError(f"{document.id} has {count}, not {number}")
        return PlainTextResponse(document.pages[number - 1].text)

    async def _drawn(self, request: Request) -> PageImage:
        with self.queue.place():
            return await in_thread(self._picture, request, limiter=self.queue.drawers)

    def _picture(self, request: Request) -> PageImage:
        number, document_id = request.path_params["page"], request.path_params["document"]
        number = pages.page_number(number)
        address = pages.PageAddress.of(self.service.path_of(document_id), number)
        quote, ocr = request.query_params.get("quote") or None, None
        if quote:
            document = self.service.document(document_id)
            if number <= len(document.pages):
                quote = pages.part_on_page(quote, document, number) or None
                ocr = self.service.ocr_for(document.pages[number - 1])
        scale = pages.scale_of(request.query_params.get("scale"))
        return pages.picture(address, quote, scale, self.service.password, ocr)
