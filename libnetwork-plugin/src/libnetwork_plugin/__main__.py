"""The program. Ctrl-C is provided for before anything is imported."""

import signal


def main() -> None:
    """Run libnetwork-plugin; Ctrl-C ends it at once, until the server listens for signals itself.

    Python would raise KeyboardInterrupt instead. In the midst of an import that is a traceback at best; now
    and then it is lost in a callback, and an import's lock stays held.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not what nohup has set
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from libnetwork_plugin.cli import main as run  # noqa: PLC0415 - it takes long enough to be interrupted

    run()


if __name__ == "__main__":
    main()
