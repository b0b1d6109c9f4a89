"""A lending library as an MCP server: `make` for this process, or a script over stdio or HTTP.

As a script it keeps its books in `books.json` of the current folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field

BOOKS = {
    "b1": {"title": "Emma", "author": "Austen", "reader": ""},
    "b2": {"title": "Dune", "author": "Herbert", "reader": "Ann"},
    "b3": {"title": "Persuasion", "author": "Austen", "reader": ""},
}
BookId = Annotated[str, Field(description="id of a book, such as b1")]
Reader = Annotated[str, Field(description="name of a reader")]


class Library:
    """The books, in memory or in a file."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._books: dict[str, dict[str, str]] = {}
        if file is None or not file.exists():
            self.restore()

    def read(self) -> dict[str, dict[str, str]]:
        if self._file is not None:
            self._books = json.loads(self._file.read_text())
        return self._books

    def restore(self) -> None:
        self._books = json.loads(json.dumps(BOOKS))
        self.write()

    def write(self) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps(self._books, indent=1))


def make(folder: Path | None = None) -> FastMCP:
    """A server with books of its own."""
    library = Library(folder / "books.json" if folder else None)
    server: FastMCP = FastMCP("library")

    @server.tool
    def list_books(
        author: Annotated[str, Field(description="only books of this author")] = "",
    ) -> dict[str, Any]:
        """List the books of the library."""
        books = library.read()
        return {"books": {k: b for k, b in books.items() if author in ("", b["author"])}}

    @server.tool
    def add_book(
        title: Annotated[str, Field(description="title of the book")],
        author: Annotated[str, Field(description="author of the book")],
    ) -> dict[str, Any]:
        """Add a book to the library."""
        books = library.read()
        name = f"b{len(books) + 1}"
        books[name] = {"title": title, "author": author, "reader": ""}
        library.write()
        return {"book_id": name}

    @server.tool
    def lend_book(book_id: BookId, reader: Reader) -> dict[str, Any]:
        """Lend a book to a reader."""
        book = library.read().get(book_id)
        if book is None:
            return {"error": f"no book {book_id}"}
        if book["reader"]:
            raise ValueError(f"{book_id} is lent to {book['reader']}")
        book["reader"] = reader
        library.write()
        return {"lent": book_id, "reader": reader}

    @server.tool
    def return_book(book_id: BookId) -> dict[str, Any]:
        """Take a book back from its reader."""
        book = library.read().get(book_id)
        if book is None or not book["reader"]:
            return {"error": f"{book_id} is not lent"}
        reader, book["reader"] = book["reader"], ""
        library.write()
        return {"returned": book_id, "reader": reader}

    @server.tool
    def find_reader(book_id: BookId) -> dict[str, Any]:
        """Find the reader who has a book."""
        book = library.read().get(book_id)
        return {"reader": book["reader"]} if book else {"error": f"no book {book_id}"}

    @server.tool
    def restore_books() -> str:
        """Bring the library back to its first state."""
        library.restore()
        return "restored"

    return server


if __name__ == "__main__":
    served = make(Path.cwd())
    if len(sys.argv) > 1:
        served.run(transport="http", port=int(sys.argv[1]), show_banner=False)
    else:
        served.run(show_banner=False)
