"""``build --check``: what is probably not meant in a Dockerfile; nothing is pulled or built. docker/buildx: --call."""

from __future__ import annotations

from pod.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.builder.wishes import Wishes
    from pod.core.engine import Engine


def check(engine: Engine, wishes: Wishes) -> int:
    """Prints the findings; 1 where there are any. BuildFailed for what would end the build before it begins."""
    from pod.core.builder import check as checks
    from pod.core.builder import context as contexts
    from pod.core.builder import dockerfile
    from pod.core.oci import platform

    with contexts.open_context(engine, wishes.context, stdin_fd=wishes.stdin_fd, file=wishes.file) as opened:
        file = dockerfile.parse(opened.dockerfile, opened.dockerfile_name)
        findings, failure = checks.check(
            file,
            setting=wishes.build_args.get("BUILDKIT_DOCKERFILE_CHECK") or "",
            excluded=opened.ignore.excluded if opened.ignore is not None else None,
            target=wishes.target,
            build_args=wishes.build_args,
            platform=platform.parse(wishes.platform) if wishes.platform else None,
            contexts=wishes.build_contexts,
        )
    count = len(findings)
    said = "no warnings found." if not count else "1 warning has been found!" if count == 1 else ""
    output.line("Check complete, " + (said or f"{count} warnings have been found!"))
    for finding in findings:
        output.line("\n" + output.visible(finding.report))
    if failure is not None:
        if failure.excerpt:
            output.line("\n" + output.visible(failure.excerpt))
        raise failure
    return 1 if findings else 0
