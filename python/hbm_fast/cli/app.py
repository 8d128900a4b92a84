"""The application: every command by name. Nothing heavier than typer is imported before a command runs."""

from typing import Annotated

try:
    import rich  # noqa: F401
    import typer
except ImportError as error:
    raise ImportError(f"{error.name} is not installed: pip install 'hbm-fast[cli]'", name=error.name) from error

from hbm_fast import __version__
from hbm_fast.cli.benchmark import benchmark
from hbm_fast.cli.compare import compare
from hbm_fast.cli.config import config
from hbm_fast.cli.demo import demo
from hbm_fast.cli.fit import fit
from hbm_fast.cli.infer import infer
from hbm_fast.cli.languages import languages
from hbm_fast.cli.mixture import mixture
from hbm_fast.cli.question2 import question2
from hbm_fast.cli.regress import regress
from hbm_fast.cli.report import report
from hbm_fast.cli.sample import sample
from hbm_fast.cli.simulate import simulate
from hbm_fast.cli.train import train

app = typer.Typer(
    name="hbm-fast",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hbm-fast {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Hierarchical Dirichlet-multinomial models of counts: simulate, score and infer."""


for command in (
    demo,
    simulate,
    sample,
    fit,
    mixture,
    regress,
    compare,
    train,
    infer,
    question2,
    languages,
    benchmark,
    report,
    config,
):
    app.command()(command)
