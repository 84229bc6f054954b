"""The command ``calico-release``: one subcommand per step, in the order in which they are done."""

from __future__ import annotations

import datetime as dt
import sys
from importlib.metadata import version
from pathlib import Path

import click

from calico_release import build, cut, plan, publish, render, verify
from calico_release.commands import ReleaseError, run
from calico_release.fragments import FragmentError
from calico_release.packages import MetadataError
from calico_release.versions import VersionError

ONLY = click.option(
    "--only", multiple=True, metavar="PACKAGE", help="Only this package; may be repeated."
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="build/release",
    show_default=True,
    help="Folder of the built files.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("calico-release"), message="%(version)s")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=".",
    help="Root of the clone; by default the working directory.",
)
@click.pass_context
def command(context: click.Context, root: Path) -> None:
    """Release the packages of this tree, each with a version of its own.

    \b
    The steps, in order:
      calico-release validate-docs
      calico-release plan
      calico-release cut
      calico-release build --revision release-1
      calico-release verify
      calico-release publish --url URL --simple-url URL

    A step that was interrupted is run again, and ends right.
    """
    context.obj = root.resolve()


@command.command("validate-docs")
@DRY_RUN
@click.pass_obj
def validate_docs(root: Path, dry_run: bool) -> None:
    """Build the documentation with warnings as errors, and follow its links."""
    argv = [sys.executable, "-m", "calico_docs", "check", "--root", str(root)]
    click.echo(f"would run {' '.join(argv[1:])}" if dry_run else run(argv, cwd=root).rstrip())


@command.command("plan")
@ONLY
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--dry-run", is_flag=True, help="Has no meaning here: a plan changes nothing.")
@click.pass_obj
def show_plan(root: Path, only: tuple[str, ...], as_json: bool, dry_run: bool) -> None:
    """Show versions, tags and order of the next release, and what stands against it."""
    del dry_run
    made = plan.plan(cut.state(root), only)
    click.echo(render.as_json(made) if as_json else render.table(made))
    if made.problems:
        sys.exit(1)


@command.command("cut")
@ONLY
@DRY_RUN
@click.option("--remote", default="origin", show_default=True, help="Where the release goes.")
@click.option("--branch", default="main", show_default=True, help="The branch that is released.")
@click.option("--date", metavar="YYYY-MM-DD", help="Date for the changelogs. [default: today]")
@click.pass_obj
def do_cut(
    root: Path, only: tuple[str, ...], dry_run: bool, remote: str, branch: str, date: str | None
) -> None:
    """Make the release branch, changelogs and tags, and the next versions on the main branch.

    All references move in one push, or none does.
    """
    day = _day(date)
    target = cut.Target(remote, branch)
    cut.cut(root, target, day.isoformat(), only, dry_run=dry_run, say=click.echo)


def _day(text: str | None) -> dt.date:
    if text is None:
        return dt.datetime.now(dt.UTC).date()
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ReleaseError(f"--date {text}: {error}") from error


@command.command("build")
@ONLY
@DRY_RUN
@OUT
@click.option("--revision", default="HEAD", show_default=True, help="Branch, tag or commit.")
@click.pass_obj
def do_build(root: Path, only: tuple[str, ...], dry_run: bool, out: Path, revision: str) -> None:
    """Build and check the source distribution and the wheel of each package."""
    build.build(root, root / out, revision, only, dry_run=dry_run, say=click.echo)


@command.command("verify")
@ONLY
@DRY_RUN
@OUT
@click.pass_obj
def do_verify(root: Path, only: tuple[str, ...], dry_run: bool, out: Path) -> None:
    """Install each wheel alone into an empty environment, and ask it for its version."""
    verify.verify(root / out, only, dry_run=dry_run, say=click.echo)


@command.command("publish")
@ONLY
@DRY_RUN
@OUT
@click.option("--url", required=True, help="Where twine uploads to.")
@click.option("--simple-url", required=True, help="The index's list of files, for pip.")
@click.pass_obj
def do_publish(
    root: Path, only: tuple[str, ...], dry_run: bool, out: Path, url: str, simple_url: str
) -> None:
    """Upload what was built and is not there yet.

    User and password are taken from TWINE_USERNAME and TWINE_PASSWORD.
    """
    publish.publish(root / out, url, simple_url, only, dry_run=dry_run, say=click.echo)


def main() -> None:
    """Run the command; what prevents a step is one line on standard error and exit code 1."""
    try:
        command.main(standalone_mode=True)
    except (ReleaseError, FragmentError, MetadataError, VersionError) as error:
        click.echo(f"calico-release: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
