"""The application: every command by name. Nothing heavier than typer is imported before a command runs."""

import sys
from typing import Annotated, Any

try:
    import rich  # noqa: F401
    import typer
    from typer.core import TyperGroup
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


class Commands(TyperGroup):
    """The commands; --format of a table, which is --layout since 0.1, is taken too, with a warning."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command and its arguments."""
        command = self.commands.get(args[0])
        if command is not None and any("--layout" in parameter.opts for parameter in command.params):
            for i, word in enumerate(args):
                if word == "--format" or word.startswith("--format="):
                    args[i] = word.replace("--format", "--layout", 1)
                    print("hbm-fast: warning: --format of a table is now --layout", file=sys.stderr)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="hbm-fast",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # whose columns leave no space for the text within 80
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


for command, summary in (
    (demo, "Answer the question of Le (2020) in four ways."),
    (simulate, "Simulate datasets into a folder of files."),
    (sample, "Draw from the posterior of a table of counts."),
    (fit, "Fit a Dirichlet-multinomial to a table of counts."),
    (mixture, "Fit mixtures to a table of counts."),
    (regress, "Regress the composition of a table on covariates."),
    (compare, "Compare the groups of several labels."),
    (train, "Train a network that infers (alpha, beta)."),
    (infer, "Infer (alpha, beta) with a trained network."),
    (question2, "Run the second question of Le (2020)."),
    (languages, "Recognise a written language from a few utterances."),
    (benchmark, "Time quadrature, MCMC, networks and peers."),
    (report, "Write an offline page about a table."),
    (config, "Show versions and the instruction-set level."),
):
    app.command(short_help=summary)(command)
