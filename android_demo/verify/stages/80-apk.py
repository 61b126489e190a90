"""Stage apk: a signed APK of flavour central, built without an Android SDK, and what must hold for it."""

import pathlib
import shutil

from android import apk_check
from android.apk import built
from android.robolectric import copied_app, flip
from stagekit import DEMO, VERIFY, main, replaced, work

_LAST = VERIFY / "work/apk"


def check() -> str:
    """Builds and checks."""
    folder = work("apk")
    return apk_check.checked(built(folder), folder)


def _dex() -> pathlib.Path | None:
    """The dex files of the last green run, if there was one."""
    return _LAST / "dex" if (_LAST / "dex").exists() else None


def _control(app: pathlib.Path = DEMO / "app", **faults) -> None:
    folder = work("apk-control")
    apk_check.checked(built(folder, app, _dex(), **faults), folder)


def permission() -> None:
    """A permission in the manifest."""
    app = copied_app("apk-control-app")
    wanted = '<uses-permission android:name="android.permission.INTERNET" />'
    replaced(app / "src/main/AndroidManifest.xml", "    <application", f"    {wanted}\n\n    <application")
    _control(app)


def compressed_model() -> None:
    """Models deflated: the app could not map them."""
    _control(deflate=".tflite")


def unaligned_library() -> None:
    """Libraries on 4 bytes as everything else."""
    _control(page=4)


def flipped_byte() -> None:
    """One bit of the signed APK."""
    folder = work("apk-control")
    apk = shutil.copy(_LAST / "demo.apk", folder) if (_LAST / "demo.apk").exists() else built(folder)
    flip(pathlib.Path(apk), at=4_000_000)
    apk_check.checked(pathlib.Path(apk), folder)


if __name__ == "__main__":
    main(
        check,
        {
            "permission": (permission, "asks for a permission"),
            "compressed-model": (compressed_model, "is compressed"),
            "unaligned-library": (unaligned_library, "is not aligned"),
            "flipped-byte": (flipped_byte, "DOES NOT VERIFY|ended with"),
        },
    )
