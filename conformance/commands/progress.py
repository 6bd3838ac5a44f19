"""What a command that runs models shows meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from conformance.running.worker import Worker


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
