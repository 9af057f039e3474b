"""Tables and text for people, at the width that there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["MOST_EXAMPLES", "FindingTable", "NumberTable", "make_console", "show", "text_of"]

MOST_EXAMPLES = 3
"""How many examples of a finding a person looks at; --json has all of them."""
# A pipe has no width, and what reads it wants whole lines.
_NO_WIDTH = 10_000


def make_console() -> Console:
    """Make a console for tables.

    It is as wide as the terminal, or as COLUMNS says; in a pipe no line is folded. Names in a
    dataset are never taken for markup.

    Returns
    -------
    rich.console.Console
    """
    import shutil

    from rich.console import Console

    class Output(Console):
        """A console that leaves broken pipes to main, which knows the exit status."""

        def on_broken_pipe(self) -> None:
            """Raise what rich would end the process for."""
            raise

    width, height = shutil.get_terminal_size((_NO_WIDTH, 24))
    # Of a terminal that rich knows nothing of it takes a width only with a height.
    return Output(width=width, height=height, markup=False, highlight=False, emoji=False)


def show(console: Console, content: RenderableType) -> None:
    """Print text or a table, without blanks at the ends of lines.

    Parameters
    ----------
    console : rich.console.Console
    content : rich.text.Text, rich.table.Table or str
    """
    from rich.segment import Segment, Segments

    for line in console.render_lines(content, pad=False):
        while line and not line[-1].text.rstrip():
            line.pop()
        if line:
            text, style, control = line[-1]
            line[-1] = Segment(text.rstrip(), style, control)
        console.print(Segments([*line, Segment.line()]), end="")


class NumberTable:
    """Names with numbers beside them, or below them where there is no room beside.

    Parameters
    ----------
    words : str
        Title of the names.
    *numbers : str
        Titles of the numbers, which align right.
    """

    def __init__(self, words: str, *numbers: str) -> None:
        self.titles = (words, *numbers)
        self.rows: list[tuple[str, ...]] = []

    def add_row(self, name: str, *numbers: str) -> None:
        """Add a row.

        Parameters
        ----------
        name : str
            Also a stranger's; what commands a terminal is escaped.
        *numbers : str
            As many as there are titles.
        """
        self.rows.append((name, *numbers))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield a line of text for each row, or two."""
        from rich.cells import cell_len, set_cell_size
        from rich.text import Text

        from mtfast.errors import printable

        rows = [tuple(map(printable, row)) for row in (self.titles, *self.rows)]
        first, *widths = (max(map(cell_len, column)) for column in zip(*rows, strict=True))
        beside = first + sum(2 + width for width in widths) <= options.max_width
        for number, (name, *numbers) in enumerate(rows):
            style = "" if number else "dim"
            cells = "".join(
                " " * (2 + width - cell_len(text)) + text
                for width, text in zip(widths, numbers, strict=True)
            )
            if beside:
                yield Text(set_cell_size(name, first) + cells, style)
            else:
                yield Text(name, style)
                yield Text(cells, style)


class FindingTable:
    """What was found: how severe, how often, what and where, and what to do.

    Parameters
    ----------
    styles : mapping of str to str
        How each severity is written.
    """

    def __init__(self, styles: Mapping[str, str]) -> None:
        from rich.table import Table

        self._styles = styles
        self._table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        self._table.add_column(no_wrap=True)
        self._table.add_column(no_wrap=True, justify="right")
        self._table.add_column(overflow="fold", ratio=1)

    def add(
        self,
        severity: str,
        n: int,
        title: tuple[str, str],
        examples: Sequence[str],
        advice: str,
        *,
        more: bool = False,
    ) -> None:
        """Add a finding.

        Parameters
        ----------
        severity : str
        n : int
            How often it was found.
        title : (what, where)
        examples : sequence of str
            A line each; the first few of them are shown, and a mark if there are more.
        advice : str
        more : bool
            Whether there are more examples than those.
        """
        what, where = title
        left_out = ["…"] if more or len(examples) > MOST_EXAMPLES else []
        lines = [*examples[:MOST_EXAMPLES], *left_out]
        about = text_of(
            (what, "bold"), where, *((f"\n{line}", "dim") for line in lines), f"\n→ {advice}", "\n"
        )
        self._table.add_row(text_of((severity, self._styles[severity])), f"{n:,}", about)

    def __rich__(self) -> Table:
        """Return what is printed."""
        return self._table


def text_of(*parts: str | tuple[str, str]) -> Text:
    """Make text of which nothing commands a terminal: names in a dataset come from strangers.

    Parameters
    ----------
    *parts : str or (str, style)
        A part may begin with line feeds; those in it are escaped.

    Returns
    -------
    rich.text.Text
    """
    from rich.text import Text

    from mtfast.cli.spelling import as_options
    from mtfast.errors import printable

    found = Text()
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        line = words.lstrip("\n")
        found.append("\n" * (len(words) - len(line)) + printable(as_options(line)), style)
    return found
