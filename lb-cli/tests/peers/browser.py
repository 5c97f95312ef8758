"""Headless Chromium for the scripts beside this one: `with browser.started(PROGRAM) as chromium`."""

from contextlib import contextmanager

from playwright.sync_api import sync_playwright

# Longer than any step takes on a busy machine; only a hang gets this far.
PATIENCE_MS = 45_000


@contextmanager
def started(program):
    """The system's browser; playwright's own is never downloaded."""
    arguments = [
        # The sandbox of Chromium does not start as root, nor in most containers.
        "--no-sandbox",
        # Containers give /dev/shm 64 MiB, less than a page may take.
        "--disable-dev-shm-usage",
        # A proxy of the environment is not for loopback.
        "--no-proxy-server",
        # Nothing else may listen on the same port of ::1 and answer first.
        "--host-resolver-rules=MAP localhost 127.0.0.1",
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=arguments, timeout=PATIENCE_MS
        )
        try:
            yield chromium
        finally:
            chromium.close()


def profile(chromium, **options):
    """An own cookie jar and cache, as a new private window has them; certificates are not checked."""
    context = chromium.new_context(ignore_https_errors=True, **options)
    context.set_default_timeout(PATIENCE_MS)
    return context
