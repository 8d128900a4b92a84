"""The development workflow: `nox -s lint`, `tests`, `stubs`, `cpp`, `docs`, `fuzz`, `peers`, `bench`."""

import nox

nox.options.sessions = ["lint", "tests"]
CONSTRAINTS = ("-c", "constraints.txt")


@nox.session
def tests(session: nox.Session) -> None:
    """The Python tests, against an installed wheel."""
    session.install(*CONSTRAINTS, ".[all,test]")
    session.run("pytest", *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """The tests against the heavy peers."""
    session.install(*CONSTRAINTS, ".[all,test,peers]")
    session.run("pytest", "-m", "peers", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, mypy, codespell, clang-format."""
    session.install(*CONSTRAINTS, ".[all,dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    files = session.run("git", "ls-files", "cpp/*.hpp", "cpp/*.cpp", "cpp/*.inl", external=True, silent=True)
    session.run("clang-format", "--dry-run", "-Werror", *str(files).split())
    session.run("codespell")
    session.run("mypy")


@nox.session
def stubs(session: nox.Session) -> None:
    """Compare the committed stubs of the compiled module with generated ones."""
    session.install(*CONSTRAINTS, ".[dev]")
    session.run("python", "tools/check_stubs.py", *session.posargs)


@nox.session
@nox.parametrize("preset", ["dev", "asan", "tsan"])
def cpp(session: nox.Session, preset: str) -> None:
    """The kernels' own tests, plain and under the sanitizers."""
    session.run("cmake", "--preset", preset, external=True)
    session.run("cmake", "--build", "--preset", preset, external=True)
    session.run("ctest", "--preset", preset, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """The documents, warnings being errors."""
    session.install(*CONSTRAINTS, ".[all,docs]")
    session.run("python", "-m", "sphinx", "-W", "-b", "html", "docs", "build/site")


@nox.session
def fuzz(session: nox.Session) -> None:
    """The libFuzzer targets, 20 s each or as long as stated."""
    session.run("tools/fuzz.sh", *(session.posargs or ["20"]), external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks, with every peer that installs."""
    session.install(*CONSTRAINTS, ".[all,test,peers]")
    session.run("pytest", "benchmarks", "--benchmark-only", *session.posargs)
