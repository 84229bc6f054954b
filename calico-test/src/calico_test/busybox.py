"""A root file system of a static busybox alone, for images where no registry is."""

import io
import shutil
import subprocess
import tarfile

from calico_test.errors import MissingToolError

_FOLDERS = ("tmp", "etc", "www")


def root_file_system() -> bytes:
    """Return busybox and its applets as a tar file.

    Raises:
        MissingToolError: busybox is not installed (Debian's busybox-static).
    """
    program = shutil.which("busybox")
    if program is None:
        raise MissingToolError("busybox is not installed; on Debian: apt install busybox-static")
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(program, "bin/busybox")
        for applet in sorted(set(listed.stdout.split()) - {"busybox"}):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name in _FOLDERS:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(folder)
    return file.getvalue()
