"""The program. Ctrl-C is provided for before anything is imported."""

import signal


def main() -> None:
    """Run calico-node; Ctrl-C ends it at once, until a service listens for signals itself.

    Python would raise KeyboardInterrupt instead. In the midst of an import that is a traceback at best; now
    and then a callback loses it, and an import's lock stays held: Felix ran on, and its health page hung.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not what nohup has set
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from calico_node.cli import main as run  # noqa: PLC0415 - importing takes long enough to be interrupted

    run()


if __name__ == "__main__":
    main()
