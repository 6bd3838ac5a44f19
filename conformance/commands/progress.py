"""What a command that runs models shows meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar

from rich.console import Console
from rich.live import Live
from rich.progress import Progress
from rich.spinner import Spinner
from rich.text import Text

from conformance.running.worker import Worker

T = TypeVar("T")


@contextmanager
def progress(screen: Console, worker: Worker) -> Iterator[Callable[[str], None]]:
    """What is done, its stage and for how long; a line each where there is no terminal."""
    if not screen.is_terminal:
        yield lambda text: screen.print(f"... {text}")
        return
    doing, since, spinner = "starting", monotonic(), Spinner("dots")

    def shown() -> Spinner:
        spinner.update(text=Text(f"{doing}: {worker.stage.value}, {monotonic() - since:.0f} s"))
        return spinner

    def tell(text: str) -> None:
        nonlocal doing, since
        doing, since = text, monotonic()

    with Live(get_renderable=shown, console=screen, transient=True, refresh_per_second=8):
        yield tell


@contextmanager
def counted(
    doing: str, said: Callable[[T], str], is_usual: Callable[[T], bool], named: Callable[[T], str]
) -> Iterator[Callable[[T, int, int], None]]:
    """What is done, how many of how many: a bar on a terminal, and lines of what is not usual; else a line for each.
    On stderr."""
    screen = Console(stderr=True, markup=False, emoji=False)
    if not screen.is_terminal:
        yield lambda one, done, of: print(f"{done}/{of} {said(one)}", file=sys.stderr, flush=True)
        return
    with Progress(console=screen) as bar:
        task = bar.add_task(doing, total=None)

        def tell(one: T, done: int, of: int) -> None:
            if not is_usual(one):
                bar.console.print(said(one), highlight=False, soft_wrap=True)
            bar.update(task, completed=done, total=of, description=named(one))

        yield tell
